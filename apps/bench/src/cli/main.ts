/** The command `mamba-bench`. */
import process from 'node:process';
import { runCommand } from './program.ts';

// The reader of `mamba-bench … | head` has closed the pipe.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await runCommand(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
});
