/** The command `mamba-bench`. */
import process from 'node:process';
import { runCommand } from './program.ts';

process.exitCode = await runCommand(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
});
