/** Starts `mamba-lm`, or names the packages that it lacks. */
import process from 'node:process';
import { missingPackages } from './packages.ts';

try {
  await import('./main.ts');
} catch (error) {
  const told = missingPackages(error);
  if (told === undefined) throw error;
  process.stderr.write(`${told}\n`);
  process.exitCode = 1;
}
