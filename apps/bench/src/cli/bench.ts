import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { MAMBA_SIZES, MambaError, modelConfig } from '@mamba/core';
import { platform } from '#platform';
import type { Effort, ShapeChoice, SuiteName } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import { chooseNamed, type FoundBackend, findBackends } from '../machine/backends.ts';
import type { Format, Peer } from '../peers/contract.ts';
import { PEER_DTYPES, peerStage } from '../peers/stage.ts';
import { createProgress } from '../report/progress.ts';
import { styleFor } from '../report/style.ts';
import {
  type Look,
  renderBackends,
  renderCeilings,
  renderHeading,
  renderLegend,
  renderSuite,
} from '../report/table.ts';
import { runBench } from '../run.ts';
import type { Report } from '../schema/report.ts';
import { writeReport } from '../schema/write.ts';
import { writeParagraph } from './paragraph.ts';
import type { Terminal } from './terminal.ts';

export interface BenchOptions {
  /** Empty: all. */
  readonly backends: readonly string[];
  readonly suites: readonly string[];
  readonly json: string | undefined;
  readonly effort: Effort;
  readonly shapes: ShapeChoice;
  /** Of backends that have any, one contender for each count; empty: their own choice. */
  readonly threads: readonly number[];
  /** Other projects beside ours; empty: none. */
  readonly peers: readonly Peer[];
  /** Close with a paragraph of generated text. */
  readonly paragraph: boolean;
}

/** @throws MambaError on unknown names, or where nothing runs here; system errors of the JSON file. */
export async function bench(options: BenchOptions, { stdout, stderr, environment }: Terminal): Promise<number> {
  const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
  const print = (text: string): void => void stdout.write(`${text}\n`);
  const suites = chooseNamed(SUITES, options.suites, 'suite');
  if (options.json !== undefined) await access(dirname(resolve(options.json)), constants.W_OK);
  const backends = await findBackends(options.backends, options.threads);
  const records = backends.map(({ record }) => record);

  print(`\n${renderHeading({ machine: platform.machineFacts() }, look)}\n`);
  print(renderBackends(records, look));
  if (backends.every(({ provider }) => provider === undefined))
    throw new MambaError('unavailable', 'none of these backends runs here');

  const interruption = new AbortController();
  const interrupt = (): void => {
    // The second time the process ends as it would without a handler.
    process.off('SIGINT', interrupt);
    interruption.abort();
    progress.step('stopping after this sample');
  };
  const progress = createProgress(stderr, styleFor(stderr, environment));
  process.on('SIGINT', interrupt);
  const names: SuiteName[] = [
    ...suites.map(({ name }) => name),
    ...(options.peers.length > 0 ? ['peers' as const] : []),
  ];
  let shown = 0;
  const show = (report: Report): void => {
    for (const name of names.slice(shown)) {
      const text = renderSuite(name, report, look);
      if (text !== '') print(`\n${text}`);
    }
  };
  let report: Report;
  try {
    report = await runBench({
      suites,
      backends,
      effort: options.effort,
      shapes: options.shapes,
      stages: options.peers.length > 0 ? [stageOf(options, backends)] : [],
      signal: interruption.signal,
      observer: {
        begin(ceilings, seconds) {
          progress.suspend(() => print(renderCeilings(ceilings, records, look)));
          progress.begin(seconds);
        },
        step: (label) => progress.step(label),
        advance: (seconds) => progress.advance(seconds),
        suite(name, soFar) {
          const text = renderSuite(name, soFar, look);
          if (text !== '') progress.suspend(() => print(`\n${text}`));
          shown++;
        },
      },
    });
  } finally {
    progress.end();
    process.off('SIGINT', interrupt);
  }
  if (report.interrupted) {
    show(report);
    const some = report.results.length > 0;
    print(
      `\n${look.style.yellow('stopped early')}: ${some ? 'what was measured until then stands above' : 'nothing was measured yet'}`,
    );
  }
  if (report.results.some(({ time }) => time !== undefined)) print(`\n${renderLegend(report, look)}`);
  // Before the paragraph, so that nothing can take the measurements away.
  if (options.json !== undefined) await writeReport(report, options.json);
  if (options.paragraph && !report.interrupted) {
    const generation = await writeParagraph(report, backends, stdout, look);
    if (generation !== undefined && options.json !== undefined)
      await writeReport({ ...report, generation }, options.json);
  }
  if (options.json !== undefined) print(`\n${look.style.dim('report:')} ${options.json}`);
  if (report.interrupted) return 130;
  return report.results.some(({ status }) => status === 'failed' || status === 'disagrees') ? 1 : 0;
}

const FORMATS: readonly Format[] = ['F32', 'F16', 'Q8_0'];

/** Prefill and decode of mamba-130m's shape, in the formats that peers read. */
function stageOf({ peers, effort, threads, shapes }: BenchOptions, backends: readonly FoundBackend[]) {
  const { cores } = platform.machineFacts();
  const asked = FORMATS.filter((format) => shapes.dtypes?.includes(PEER_DTYPES[format]));
  const [prefill, decode] = effort === 'quick' ? [128, 16] : [512, 64];
  return peerStage({
    peers,
    backends,
    config: modelConfig(MAMBA_SIZES['mamba-130m']),
    prefill,
    decode,
    // One thread as well: where others are busy, more may be slower.
    threads: threads.length > 0 ? threads : [...new Set([1, cores])],
    formats: asked.length > 0 ? asked : effort === 'quick' ? ['F32'] : FORMATS,
  });
}
