/** Teams that run programs: this thread alone, or with workers over shared memory (see assembly/program/run.ts). */
import { MambaError } from '@mamba/core';
import { CONTROL_BYTES, CONTROL_THREADS } from '../generated/calls.ts';
import type { KernelExports } from '../generated/exports.ts';
import type { Heap } from '../memory/heap.ts';
import type { Program, Team } from '../program/program.ts';
import type { Platform, Worker } from './platform.ts';

/** A team of the calling thread alone. */
export function singleThread(wasm: KernelExports): Team {
  return {
    threads: 1,
    run({ address, count }) {
      try {
        wasm.runAlone(address, count);
      } catch (cause) {
        throw trapped(cause);
      }
    },
  };
}

export interface WorkerTeam extends Team {
  /** Address of the control block. */
  readonly control: number;
  /** Whether all workers run; see `Worker.isAlive`. */
  isAlive(): boolean;
  /** Resolves when all workers are gone. */
  dispose(): Promise<void>;
}

/** Starts a team. @throws the host's reason why a worker cannot start; those that did start are gone then. */
export async function startTeam(
  platform: Platform,
  threads: number,
  module: WebAssembly.Module,
  heap: Heap,
  wasm: KernelExports,
  file?: string | URL | undefined,
): Promise<WorkerTeam> {
  const control = heap.allocate(CONTROL_BYTES);
  heap.bytes(control, CONTROL_BYTES).fill(0);
  heap.integers(control, CONTROL_BYTES / 4)[CONTROL_THREADS / 4] = threads;
  let lost: MambaError | undefined;
  const died = (cause: unknown): void => {
    wasm.fail(control.address);
    lost ??= workerLost(cause);
  };
  const started = await Promise.allSettled(
    Array.from({ length: threads - 1 }, (_, index) =>
      platform.startWorker({ module, memory: heap.memory, control: control.address, thread: index + 1 }, file, died),
    ),
  );
  const workers = started.flatMap((result): Worker[] => (result.status === 'fulfilled' ? [result.value] : []));
  const dispose = async (): Promise<void> => {
    lost ??= workerLost('the backend was disposed');
    wasm.stop(control.address);
    await Promise.all(workers.map((worker) => worker.terminate()));
    control.free();
  };
  const failure = started.find((result) => result.status === 'rejected');
  if (failure !== undefined) {
    await dispose();
    throw failure.reason;
  }
  return {
    threads,
    control: control.address,
    dispose,
    isAlive: () => workers.every((worker) => worker.isAlive()),
    run({ address, count }: Program) {
      if (lost !== undefined) throw lost;
      try {
        if (wasm.runTeam(address, count, control.address, platform.maySleep) !== 0) return;
      } catch (cause) {
        // The members must not wait for the task that this thread took.
        wasm.fail(control.address);
        lost ??= trapped(cause);
      }
      lost ??= workerLost('it did not finish its part');
      throw lost;
    },
  };
}

function trapped(cause: unknown): MambaError {
  return new MambaError('device-error', 'a kernel of the cpu backend trapped', {
    origin: 'cpu',
    given: cause instanceof Error ? cause.message : String(cause),
    remedy: 'This is a bug of @mamba/cpu: report what was called. Dispose this backend and create another.',
    cause,
  });
}

function workerLost(cause: unknown): MambaError {
  return new MambaError('device-lost', 'a worker of the cpu backend died', {
    origin: 'cpu.threads',
    given: cause instanceof Error ? cause.message : String(cause),
    remedy: 'Dispose this backend and create another; import exported states there.',
    cause,
  });
}
