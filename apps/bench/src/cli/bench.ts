import { MAMBA_SIZES, MambaError, modelConfig } from '@mamba/core';
import { platform } from '#platform';
import type { Effort, ShapeChoice, SuiteName } from '../cases/contract.ts';
import { SUITES } from '../cases/index.ts';
import { chooseNamed, type FoundBackend, KNOWN_BACKENDS } from '../machine/backends.ts';
import type { Place } from '../machine/modes.ts';
import type { Format, Peer } from '../peers/contract.ts';
import { PEER_DTYPES } from '../peers/own.ts';
import { peerStage } from '../peers/stage.ts';
import { createProgress } from '../report/progress.ts';
import { styleFor } from '../report/style.ts';
import {
  type Look,
  renderBackends,
  renderCeilings,
  renderCorrection,
  renderHeading,
  renderHeadline,
  renderLegend,
  renderSuite,
} from '../report/table.ts';
import type { RunOptions } from '../run/options.ts';
import { runBench } from '../run/run.ts';
import { findCandidates, findPlaces } from '../runner/candidates.ts';
import type { Report } from '../schema/report.ts';
import { checkWritable, writeReport } from '../schema/write.ts';
import { INTERRUPTED, interruptible } from './interrupt.ts';
import { writeParagraph } from './paragraph.ts';
import { checkShapes, checkShapesFit } from './shapes.ts';
import type { Terminal } from './terminal.ts';

export interface BenchOptions {
  /** Empty: all. */
  readonly backends: readonly string[];
  readonly suites: readonly string[];
  readonly json: string | undefined;
  readonly effort: Effort;
  readonly shapes: ShapeChoice;
  /** Numbers of threads, a candidate for each, for backends that have threads. Empty: their default. */
  readonly threads: readonly number[];
  /** Modes of cpu, each in a process of its own. Empty: its default, in this process. */
  readonly modes: readonly Place[];
  /** Other projects to measure beside ours. Empty: none. */
  readonly peers: readonly Peer[];
  /** Close with a paragraph of generated text. */
  readonly paragraph: boolean;
}

/** @throws MambaError on unknown names, or where nothing runs here. */
export async function bench(options: BenchOptions, terminal: Terminal): Promise<number> {
  const { stdout, environment } = terminal;
  const suites = chooseNamed(SUITES, options.suites, 'suite');
  checkShapes(suites, options.shapes, options.peers.length > 0);
  checkWritable(options.json);
  const backends = await candidates(options);
  checkShapesFit(options.shapes, backends);
  const { effort, shapes, json } = options;
  const stages = options.peers.length > 0 ? [stageOf(options, backends)] : [];
  const { report, status } = await runAndShow({ suites, backends, effort, shapes, stages, json }, terminal);
  if (options.paragraph && !report.interrupted) {
    const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
    const generation = await writeParagraph(report, backends, stdout, look);
    if (generation !== undefined && json !== undefined) writeReport({ ...report, generation }, json);
  }
  return status;
}

/** The backends of these names; for cpu its modes, where some are named, each in a process of its own. */
async function candidates({ backends: asked, modes, threads, effort }: BenchOptions): Promise<FoundBackend[]> {
  // The reference checks the others. Its own times are for those who ask for them, or have the time.
  const others = KNOWN_BACKENDS.map(({ name }) => name).filter((name) => name !== 'reference');
  const backends = asked.length === 0 && effort === 'quick' ? others : asked;
  if (modes.length === 0) return findCandidates(backends, threads);
  const names = chooseNamed(KNOWN_BACKENDS, backends, 'backend').map(({ name }) => name);
  const besideCpu = names.filter((name) => name !== 'cpu');
  const counts = threads.length > 0 ? threads : [...new Set([1, platform.machineFacts().cores])];
  return [
    ...(besideCpu.length > 0 ? await findCandidates(besideCpu, threads) : []),
    ...(await findPlaces(modes, counts)),
  ];
}

/** Runs, shows progress and tables, writes the JSON; Ctrl-C ends it early and keeps what it has. */
export async function runAndShow(
  { json, ...options }: Omit<RunOptions, 'signal' | 'observer'> & { readonly json: string | undefined },
  { stdout, stderr, environment }: Terminal,
): Promise<{ readonly report: Report; readonly status: number }> {
  const { suites, backends, stages = [] } = options;
  const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
  const print = (text: string): void => void stdout.write(`${text}\n`);
  checkWritable(json);
  const records = backends.map(({ record }) => record);
  print(`\n${renderHeading({ machine: platform.machineFacts() }, look)}\n`);
  print(renderBackends(records, look));
  if (records.every(({ status }) => status !== 'ready'))
    throw new MambaError('unavailable', 'none of these backends runs here');

  const progress = createProgress(stderr, styleFor(stderr, environment));
  const names: SuiteName[] = [...suites.map(({ name }) => name), ...stages.map(({ suite }) => suite)];
  let shown = 0;
  return interruptible(
    () => progress.step('stopping after this sample'),
    async (signal) => {
      let report: Report;
      let limits = '';
      try {
        report = await runBench({
          ...options,
          signal,
          observer: {
            begin(ceilings, seconds) {
              limits = renderCeilings(ceilings, records, look);
              progress.suspend(() => print(limits));
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
      }
      if (report.interrupted) {
        for (const name of names.slice(shown)) {
          const text = renderSuite(name, report, look);
          if (text !== '') print(`\n${text}`);
        }
        const some = report.results.length > 0;
        print(
          `\n${look.style.yellow('stopped early')}: ${some ? 'what was measured until then stands above' : 'nothing was measured yet'}`,
        );
      }
      const limitsNow = renderCeilings(report.ceilings, records, look);
      if (report.results.some(({ time }) => time !== undefined)) {
        // Shares of a limit that was measured in turns stand as they were printed.
        const stale = report.results.some(({ ceiling }) => ceiling !== undefined && ceiling.inTurns !== true);
        if (stale && limitsNow !== limits) print(`\n${renderCorrection(look)}\n${limitsNow}`);
        print(`\n${renderLegend(report, look)}`);
        const headline = renderHeadline(report, look);
        if (headline !== '') print(`\n${headline}`);
      }
      if (json !== undefined) {
        writeReport(report, json);
        print(`\n${look.style.dim('report:')} ${json}`);
      }
      const wrong =
        report.results.some(({ status }) => status === 'failed' || status === 'disagrees') ||
        report.backends.some(({ status }) => status === 'failed');
      return { report, status: report.interrupted ? INTERRUPTED : wrong ? 1 : 0 };
    },
  );
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
    // One thread is measured as well: on a busy machine, more may be slower.
    threads: threads.length > 0 ? threads : [...new Set([1, cores])],
    rounds: (asked.length > 0 ? asked : effort === 'quick' ? (['F32'] as const) : FORMATS).map((format) => ({
      format,
      kinds: ['prefill', 'decode'],
    })),
  });
}
