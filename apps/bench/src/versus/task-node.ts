/**
 * The entry of a process that compares systems on one backend: lines of JSON on standard output tell what happens. A
 * crash of native code, or of memory, ends this process and no other.
 */
import process from 'node:process';
import { processorTime } from '../kernels/cpu/processor-time.ts';
import { findBackends } from '../machine/backends.ts';
import { runRequest, type VersusNotice, type VersusRequest } from './request.ts';
import { readCorpus } from './tasks/read-corpus-node.ts';

/** The request, as JSON in the only argument of the process. */
export interface VersusTask {
  readonly backend: string;
  readonly threads: readonly number[];
  readonly request: VersusRequest;
  /** Whether times are of the processor. */
  readonly processorTime: boolean;
  /** The file of the text that language models learn. */
  readonly corpus?: string | undefined;
}

/** Reports are long, so that one a second is enough. */
const INTERVAL = 1000;
let told = 0;

function tell(notice: VersusNotice): void {
  if (notice.type === 'partial') {
    if (performance.now() - told < INTERVAL) return;
    told = performance.now();
  }
  process.stdout.write(`${JSON.stringify(notice)}\n`);
}

const interruption = new AbortController();
// Ctrl-C reaches all processes of a terminal; the parent decides what it does.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => interruption.abort());

const { backend, threads, request, processorTime: byProcessor, corpus } = JSON.parse(process.argv[2]!) as VersusTask;
const report = await runRequest(request, await findBackends([backend], threads), {
  tell,
  signal: interruption.signal,
  processorTime: byProcessor ? processorTime : undefined,
  corpus: corpus === undefined ? undefined : await readCorpus(corpus),
});
tell({ type: 'done', report });
