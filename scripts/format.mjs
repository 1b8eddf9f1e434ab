// npm run format: formats and applies the safe fixes everywhere.
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { tool } from './lib.mjs';

bootstrap();
process.exitCode = tool('biome', ['check', '--write', '.']);
