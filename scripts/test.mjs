// npm test [-- vitest's arguments]: installs, builds, type-checks, lints, then runs every test in one vitest.
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { tool, turbo } from './lib.mjs';

bootstrap();
console.log('building, type-checking and linting …');
const status = turbo(['build', 'typecheck', 'lint', 'check:root'], ['--continue=dependencies-successful']);
if (status !== 0) process.exit(status);
process.exitCode = tool('vitest', ['run', ...process.argv.slice(2)]);
