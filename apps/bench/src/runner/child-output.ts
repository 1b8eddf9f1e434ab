/** The last words of a child process, and its end in words. */
import type { ChildProcess } from 'node:child_process';

/** Listens to a child's standard error; the function that it gives tells the last words. */
export function lastLine(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-2000);
  });
  return () => lastWords(tail);
}

/**
 * The line that says why a process ended: the last one that names an error, where Node prints a stack and its version
 * behind it, and otherwise the last one.
 */
export function lastWords(output: string): string {
  const lines = output.trim().split('\n');
  return (lines.findLast((line) => /^(Uncaught )?\w*Error\b.*: ./.test(line)) ?? lines.at(-1) ?? '').trim();
}

/** `its process ended with SIGSEGV: …`. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null, line: string): string {
  return `its process ended with ${signal ?? `status ${code}`}${line === '' ? '' : `: ${line}`}`;
}
