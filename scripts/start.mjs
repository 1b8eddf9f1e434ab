// npm start [-- ARGUMENT…]: installs, builds, then runs the bench's default job.
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { run, turbo } from './lib.mjs';

bootstrap();
console.log('building …');
const status = turbo(['build']);
if (status !== 0) process.exit(status);
process.exitCode = run(process.execPath, ['apps/bench/dist/cli/main.js', 'start', ...process.argv.slice(2)]);
