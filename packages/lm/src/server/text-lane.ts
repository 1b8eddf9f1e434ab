import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { isMambaError, MambaError } from '@mamba/core';
import { requireTokenizer } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import { fromPlainError } from '../worker/protocol.ts';
import { Queue } from './queue.ts';
import type { TextJob, TextResult, TextWorkerData } from './text-protocol.ts';

/** What a text may take, and each of its characters: several times what one word without an end takes. */
const TEXT_MS = 10_000;
const TEXT_MS_A_CHARACTER = 0.1;
/** Of the worker: a tokenizer of a quarter of a million tokens takes a third of it. */
const MAX_MEMORY_MIB = 1024;

/** A worker that does one job after the other, and is ended with a job whose client goes, or that takes too much. */
export class TextLane {
  readonly #lm: LanguageModel;
  readonly #queue: Queue;
  #worker: Worker | undefined;

  constructor(lm: LanguageModel, maxWaiting: number) {
    this.#lm = lm;
    this.#queue = new Queue(maxWaiting);
  }

  /** @throws MambaError of the job, `invalid-argument` where it takes too much, `aborted`; ApiError 429. */
  run(job: TextJob, characters: number, signal: AbortSignal): Promise<readonly number[]> {
    const milliseconds = Math.ceil(TEXT_MS + characters * TEXT_MS_A_CHARACTER);
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
        // It goes on with the job, or has died of it: the next one gets another.
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
    // It keeps no process alive.
    worker.unref();
    // Between two jobs as well, where nobody else hears of it.
    for (const event of ['error', 'exit']) worker.on(event, () => this.#drop(worker));
    this.#worker = worker;
    return worker;
  }

  #drop(worker: Worker): void {
    if (this.#worker === worker) this.#worker = undefined;
    void worker.terminate();
  }
}
