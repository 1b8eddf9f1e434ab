/** The last line that a child process wrote, and its end in words. */
import type { ChildProcess } from 'node:child_process';

/** Listens to a child's standard error; the function that it gives tells the last line. */
export function lastLine(child: ChildProcess): () => string {
  let tail = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    tail = (tail + chunk.toString()).slice(-2000);
  });
  return () => tail.trim().split('\n').at(-1) ?? '';
}

/** `its process ended with SIGSEGV: …`. */
export function describeExit(code: number | null, signal: NodeJS.Signals | null, line: string): string {
  return `its process ended with ${signal ?? `status ${code}`}${line === '' ? '' : `: ${line}`}`;
}
