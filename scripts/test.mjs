// npm test [-- vitest's arguments]: installs, builds, type-checks, lints, then runs every test in one vitest. npm test
// -- --changed [commit]: runs only the tests that a change touches.
import process from 'node:process';
import { bootstrap } from './bootstrap.mjs';
import { expandChanged } from './changed.mjs';
import { tool, turbo } from './lib.mjs';

bootstrap();
console.log('building, type-checking and linting …');
const status = turbo(['build', 'typecheck', 'check:style', 'check:columns'], ['--continue=dependencies-successful']);
if (status !== 0) process.exit(status);
const args = expandChanged(process.argv.slice(2));
if (args === undefined) console.log('no package has changed: 0 passed, 0 failed');
else process.exitCode = tool('vitest', ['run', ...args]);
