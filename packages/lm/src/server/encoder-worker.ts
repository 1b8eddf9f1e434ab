import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isMambaError, MambaError } from '@mamba/core';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import { fromPlainError } from '../worker/protocol.ts';
import { Queue } from './queue.ts';
import type { TextJob, TextResult, TextWorkerData } from './text-protocol.ts';

/** Time limit of a job, plus time for each character: several times what the slowest text takes, a single long word. */
const JOB_MS = 10_000;
const JOB_MS_PER_CHARACTER = 0.1;
/** Memory limit of the worker: a tokenizer with a vocabulary of 250,000 takes a third of it. */
const MAX_MEMORY_MIB = 1024;

/**
 * A worker thread that encodes one text after the other. It is terminated if the client of its job disconnects, or the
 * job exceeds its limits; the next job starts a new one.
 */
export class EncoderWorker {
  readonly #lm: LanguageModel;
  readonly #queue: Queue;
  #worker: Worker | undefined;

  constructor(lm: LanguageModel, maxWaiting: number) {
    this.#lm = lm;
    this.#queue = new Queue(maxWaiting);
  }

  /**
   * @param characters Length of the texts of the job.
   * @returns ids.
   * @throws MambaError of the job, `invalid-argument` if it exceeds the limits, `aborted`; ApiError 429.
   */
  run(job: TextJob, characters: number, signal: AbortSignal): Promise<readonly number[]> {
    const milliseconds = Math.ceil(JOB_MS + characters * JOB_MS_PER_CHARACTER);
    return this.#queue.run(signal, async () => {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
      const worker = this.#open();
      try {
        worker.postMessage(job);
        const [result] = (await once(worker, 'message', { signal: limit })) as [TextResult];
        if ('error' in result) throw fromPlainError(result.error);
        return result.ids;
      } catch (cause) {
        if (isMambaError(cause)) throw cause;
        // The worker is still busy with the job, or has crashed.
        this.#drop(worker);
        if (signal.aborted) throw new MambaError('aborted', 'the request was aborted', { origin: 'serve', cause });
        if (!limit.aborted && (cause as { code?: unknown }).code !== 'ERR_WORKER_OUT_OF_MEMORY') throw cause;
        throw new MambaError('invalid-argument', 'generate.prompt cannot be encoded', {
          origin: 'generate.prompt',
          given: limit.aborted ? `no end after ${milliseconds} ms` : `no end within ${MAX_MEMORY_MIB} MiB`,
          remedy: 'Give it in parts, or as token ids.',
          cause,
        });
      }
    });
  }

  async dispose(): Promise<void> {
    await this.#queue.idle();
    await this.#worker?.terminate();
  }

  #open(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(fileURLToPath(import.meta.resolve('#text-worker')), {
      workerData: requireTokenizer(this.#lm).definition satisfies TextWorkerData,
      resourceLimits: { maxOldGenerationSizeMb: MAX_MEMORY_MIB },
    });
    // The worker must not keep the process alive.
    worker.unref();
    // The worker may also fail between two jobs.
    for (const event of ['error', 'exit']) worker.on(event, () => this.#drop(worker));
    this.#worker = worker;
    return worker;
  }

  #drop(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined;
    void worker.terminate();
  }
}
