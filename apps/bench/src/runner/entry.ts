/**
 * Runs a built entry of this app in a process of its own: JSON as its argument, lines of JSON on its standard output.
 * Node only.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { builtFile } from '../built.ts';
import { describeExit, lastLine } from './child-output.ts';

/**
 * Passes each message of the process to `hear`. Gives the failure in words, if there is one.
 * @param execPath Default: this Node.
 * @param signal Sends the process SIGTERM when it is aborted; the process decides how it ends.
 */
export async function runEntry<Message>(
  path: readonly string[],
  request: object,
  hear: (message: Message) => void,
  execPath: string = process.execPath,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const child = spawn(execPath, [builtFile(...path), JSON.stringify(request)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const line = lastLine(child);
  const end = new Promise<string | undefined>((resolve) => {
    child.once('error', ({ message }) => resolve(message));
    child.once('close', (code, signal) => resolve(code === 0 ? undefined : describeExit(code, signal, line())));
  });
  const stop = (): void => void child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  for await (const message of createInterface({ input: child.stdout })) hear(JSON.parse(message) as Message);
  signal?.removeEventListener('abort', stop);
  return end;
}
