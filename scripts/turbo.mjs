// node scripts/turbo.mjs TASK… [--OPTION=VALUE…]: installs if needed, and then lets turbo run the tasks.
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { turbo } from './lib.mjs';

const given = process.argv.slice(2);
const tasks = given.filter((word) => !word.startsWith('-'));
const options = given.filter((word) => word.startsWith('-') && word !== '--');
bootstrap();
process.exitCode = turbo(tasks, tasks.includes('bench') ? ['--output-logs=full', ...options] : options);
