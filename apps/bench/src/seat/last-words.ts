/** What a child process said last, and how its end is told. */
import type { ChildProcess } from 'node:child_process';

/** Keeps the end of what a child writes on standard error; gives its last line. */
export function lastWords(child: ChildProcess): () => string {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  return () => said.trim().split('\n').at(-1) ?? '';
}

/** `its process ended with SIGSEGV: …`. */
export function describeEnd(code: number | null, signal: NodeJS.Signals | null, said: string): string {
  return `its process ended with ${signal ?? `status ${code}`}${said === '' ? '' : `: ${said}`}`;
}
