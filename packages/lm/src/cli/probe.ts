import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MambaError } from '@mamba/core';
import { fromPlainError, type PlainError } from '../worker/protocol.ts';

/** What the probe tells: nothing if WebGPU runs. */
export interface ProbeResult {
  readonly error: PlainError | undefined;
}

/** Longer than a driver takes to compile its first kernels. */
const PROBE_MS = 60_000;

/**
 * Tries WebGPU in a process of its own: where there is no driver, Dawn and the loader of Vulkan write warnings to
 * stderr that no option turns off, and a broken driver ends the process. Does nothing where a GPU is likely, since the
 * trial takes some tenths of a second, nor where the engine has a WebGPU of its own.
 * @throws MambaError `unavailable`, and what the backend throws.
 */
export async function probeWebGpu(): Promise<void> {
  const native = (globalThis as { navigator?: { gpu?: unknown } }).navigator?.gpu !== undefined;
  if (native || process.platform !== 'linux' || hasDevice()) return;
  const child = fork(fileURLToPath(new URL('./probe-main.js', import.meta.url)), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    signal: AbortSignal.timeout(PROBE_MS),
  });
  const ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }) as const);
  // The limit of time kills the child, which is also an error.
  child.on('error', () => {});
  let result: ProbeResult | undefined;
  child.once('message', (message) => {
    result = message as ProbeResult;
  });
  const { code, signal } = await ended;
  if (result?.error !== undefined) throw fromPlainError(result.error);
  if (result !== undefined) return;
  throw new MambaError('unavailable', `WebGPU ended its process, with ${signal ?? `code ${code}`}`, {
    origin: 'webgpu',
    remedy: 'Update the driver of the GPU, or take --backend cpu.',
  });
}

/** Whether the kernel shows a GPU. */
export function hasDevice(): boolean {
  if (['/dev/nvidia0', '/dev/dxg', '/dev/kfd'].some((path) => existsSync(path))) return true;
  return existsSync('/dev/dri') && readdirSync('/dev/dri').some((name) => name.startsWith('renderD'));
}
