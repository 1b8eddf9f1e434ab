/** `mamba-bench versus`: Mamba beside the systems that it is compared with, over length. */
import process from 'node:process';
import { MambaError } from '@mamba/core';
import { type Command, Option } from 'commander';
import { platform } from '#platform';
import { chooseNamed, KNOWN_BACKENDS } from '../machine/backends.ts';
import { createProgress, type Progress } from '../report/progress.ts';
import { styleFor } from '../report/style.ts';
import { type Look, renderBackends, renderHeading } from '../report/table.ts';
import { renderVersusMarkdown, replaceGenerated } from '../report/versus/markdown.ts';
import { renderVersus } from '../report/versus/text.ts';
import { findCandidates } from '../runner/candidates.ts';
import { runEntry } from '../runner/entry.ts';
import { readText } from '../schema/read.ts';
import { MEASURES, type Measure, parseVersus, type VersusReport, versusSchema } from '../schema/versus.ts';
import { checkWritable, writeWhole } from '../schema/write.ts';
import { GENERATION_SIZES } from '../versus/generation.ts';
import { mergeVersus } from '../versus/merge.ts';
import { checkRequest, type VersusNotice, type VersusRequest } from '../versus/request.ts';
import { SYSTEMS } from '../versus/systems.ts';
import type { VersusTask } from '../versus/task-node.ts';
import { readCorpus } from '../versus/tasks/read-corpus-node.ts';
import { QUICK_RECIPES, RECIPES } from '../versus/tasks/recipes.ts';
import { parseCount, parsePositive, splitCounts, splitList, splitNames } from './arguments.ts';
import { INTERRUPTED, interruptible } from './interrupt.ts';
import type { Terminal } from './terminal.ts';

interface VersusFlags {
  readonly backend?: readonly string[];
  readonly systems?: readonly string[];
  readonly lengths?: readonly number[];
  readonly measure?: readonly Measure[];
  readonly dModel?: number;
  readonly batch?: number;
  readonly threads?: readonly number[];
  readonly processorTime?: true;
  readonly seconds?: number;
  readonly budget?: number;
  readonly memory?: number;
  readonly model: keyof typeof GENERATION_SIZES;
  readonly prompts?: readonly number[];
  readonly tokens?: number;
  readonly rows?: readonly number[];
  readonly only?: Part;
  readonly corpus?: string;
  readonly quick?: true;
  readonly json?: string;
  readonly markdown?: true;
  readonly into?: string;
}

const PARTS = ['blocks', 'generation', 'tasks'] as const;
type Part = (typeof PARTS)[number];

/** Adds `versus` to the program; `finish` gets its exit status. */
export function addVersusCommand(program: Command, terminal: Terminal, finish: (status: number) => void): void {
  const systems = SYSTEMS.map(({ name }) => name);
  program
    .command('versus')
    .description('Mamba beside what it is compared with: time and memory over length, training, and generation')
    .argument('[result.json...]', 'show these results instead of measuring')
    .option('--backend <name...>', `only these: ${KNOWN_BACKENDS.map(({ name }) => name).join(', ')}`, splitList)
    .option('--systems <name...>', `only these, beside mamba: ${systems.slice(1).join(', ')}`, splitList)
    .option('--lengths <n...>', 'tokens of a sequence; default: the powers of two from 2^7 to 2^17', splitCounts)
    .option('--measure <name...>', `only these: ${MEASURES.join(', ')}`, splitNames(MEASURES, 'measure'))
    .option('--d-model <n>', 'width of the blocks; default 256', parseCount)
    .option('--batch <n>', 'sequences at once; default 1', parseCount)
    .option('--threads <n...>', 'of cpu: a candidate for each of these numbers', splitCounts)
    .option('--processor-time', 'of cpu on one thread: time of the processor, for a busy machine')
    .option('--seconds <n>', 'a system ends at the length where one call would take longer; default 5', parsePositive)
    .option('--budget <ms>', 'time for the samples of each point; default 250', parsePositive)
    .option('--memory <GiB>', 'what a call may take; default: what the backend tells, and what is free', parsePositive)
    .addOption(
      new Option('--model <size>', 'size of the models that generate')
        .choices(Object.keys(GENERATION_SIZES))
        .default('small'),
    )
    .option('--prompts <n...>', 'tokens of the prompts; default 2048', splitCounts)
    .option('--tokens <n>', 'new tokens of each row; default 128', parseCount)
    .option('--rows <n...>', 'rows that generate at once; default 1, 4, 16, 64, 128', splitCounts)
    .addOption(new Option('--only <part>', 'one part alone').choices(PARTS))
    .option('--corpus <file>', 'a text, or one packed by gzip, for models of equal size to learn; default: none')
    .option('--quick', 'a rehearsal: short sequences of narrow blocks, and few steps of training')
    .option('--json <file>', 'write the result as JSON')
    .option('--markdown', 'as Markdown: the claims, and the tables behind them')
    .option('--into <file>', 'put that Markdown between the marks of this document')
    .action(async (files: string[], flags: VersusFlags) => finish(await versusCommand(files, flags, terminal)));
}

async function versusCommand(files: readonly string[], flags: VersusFlags, terminal: Terminal): Promise<number> {
  const { stdout, environment } = terminal;
  const look: Look = { style: styleFor(stdout, environment), width: stdout.columns ?? 80 };
  const { json, markdown = false, into } = flags;
  checkWritable(json);
  checkWritable(into);
  if (files.length > 0) {
    const reports = await Promise.all(files.map(readVersus));
    await show(reports, { markdown, into }, look, stdout);
    return 0;
  }
  const { report, status } = await measure(flags, look, terminal);
  if (json !== undefined) {
    writeReport(report, json);
    stdout.write(`\n${look.style.dim('result:')} ${json}\n`);
  }
  await show([report], { markdown, into }, look, stdout);
  return status;
}

function writeReport(report: VersusReport, file: string): void {
  writeWhole(`${JSON.stringify(versusSchema.parse(report), null, 1)}\n`, file);
}

/** @throws MambaError `io`, `invalid-file` */
async function readVersus(file: string): Promise<VersusReport> {
  return parseVersus(await readText(file), file);
}

async function show(
  reports: readonly VersusReport[],
  { markdown, into }: { readonly markdown: boolean; readonly into: string | undefined },
  look: Look,
  stdout: Terminal['stdout'],
): Promise<void> {
  if (into !== undefined) {
    await intoDocument(into, renderVersusMarkdown(reports));
    return;
  }
  const text = markdown
    ? renderVersusMarkdown(reports)
    : reports.map((report) => renderVersus(report, look)).join('\n\n');
  stdout.write(`\n${text}\n`);
}

async function measure(
  flags: VersusFlags,
  look: Look,
  { stdout, stderr, environment }: Terminal,
): Promise<{ report: VersusReport; status: number }> {
  const request = requestOf(flags);
  checkRequest(request);
  const { threads = [], processorTime = false, corpus } = flags;
  if (corpus !== undefined) await readCorpus(corpus);
  const names = chooseNamed(KNOWN_BACKENDS, flags.backend ?? [], 'backend').map(({ name }) => name);
  // The float64 reference is what the others are compared with, and too slow for these lengths unless it is asked for.
  const asked = names.filter((name) => name !== 'reference' || flags.backend !== undefined);
  if (
    processorTime &&
    (asked.some((name) => name === 'webgpu') || threads.some((count) => count !== 1) || threads.length !== 1)
  )
    throw new MambaError('invalid-argument', 'processor time tells nothing of several threads, or of a GPU', {
      origin: 'versus.processorTime',
      remedy: 'Add --backend cpu --threads 1.',
    });
  const found = await findCandidates(asked, threads);
  stdout.write(`\n${renderHeading({ machine: platform.machineFacts() }, look)}\n\n`);
  stdout.write(
    `${renderBackends(
      found.map(({ record }) => record),
      look,
    )}\n`,
  );
  const here = found.filter(({ record }) => record.status === 'ready');
  const ready = new Set(here.map(({ known }) => known.name));
  if (ready.size === 0) throw new MambaError('unavailable', 'none of these backends runs here');
  const progress = createProgress(stderr, styleFor(stderr, environment));
  return interruptible(
    () => progress.step('stopping after this sample'),
    async (signal) => {
      const reports: VersusReport[] = [];
      const failures: string[] = [];
      let kept = performance.now();
      // A sample may take long, and this process may be killed meanwhile: what was measured is in the file by then.
      const keep = (part: VersusReport): void => {
        if (flags.json === undefined || performance.now() - kept < KEEPING) return;
        kept = performance.now();
        const [first, ...others] = [...reports, { ...part, interrupted: true }];
        writeReport(mergeVersus([first!, ...others]), flags.json);
      };
      try {
        for (const backend of ready) {
          if (signal.aborted) break;
          const { report, failure } = await runApart(
            { backend, threads, request, processorTime, corpus },
            progress,
            keep,
            signal,
          );
          if (report !== undefined) reports.push(report);
          if (failure !== undefined) failures.push(`${backend}: ${failure}`);
        }
      } finally {
        progress.end();
      }
      for (const failure of failures) stderr.write(`${look.style.red('mamba-bench:')} ${failure}\n`);
      const [first, ...others] = reports;
      if (first === undefined)
        throw new MambaError('unavailable', signal.aborted ? 'nothing was measured yet' : 'nothing could be measured');
      const merged = mergeVersus([first, ...others]);
      const absent = found.filter(({ record }) => record.status !== 'ready').map(({ record }) => record);
      const report = {
        ...merged,
        interrupted: merged.interrupted || signal.aborted,
        backends: [...merged.backends, ...absent],
      };
      const wrong =
        failures.length > 0 ||
        report.agreements.some(({ status }) => status !== 'agrees') ||
        report.points.some(({ status }) => status === 'failed') ||
        [...report.generation, ...(report.tasks ?? [])].some(
          ({ status }) => status === 'failed' || status === 'disagrees',
        );
      return { report, status: signal.aborted ? INTERRUPTED : wrong ? 1 : 0 };
    },
  );
}

/** Milliseconds between writes of a result that is not complete. */
const KEEPING = 5000;

/** Compares on one backend in a process of its own. What it told before it crashed is kept. */
async function runApart(
  task: VersusTask,
  progress: Progress,
  keep: (part: VersusReport) => void,
  signal: AbortSignal,
): Promise<{ report: VersusReport | undefined; failure: string | undefined }> {
  let report: VersusReport | undefined;
  const hear = (notice: VersusNotice): void => {
    if (notice.type === 'begin') progress.begin(notice.parts);
    else if (notice.type === 'step') progress.step(notice.label);
    else if (notice.type === 'advance') progress.advance(notice.parts);
    else {
      report = notice.report;
      keep(report);
    }
  };
  const failure = await runEntry(['versus', 'task-node.js'], task, hear, process.execPath, signal);
  return { report: failure === undefined ? report : report && { ...report, interrupted: true }, failure };
}

const FULL = { lengths: powers(7, 17), dModel: 256, prompts: [2048], tokens: 128, rows: [1, 4, 16, 64, 128] };
const QUICK = { lengths: powers(5, 9), dModel: 32, prompts: [64], tokens: 8, rows: [1, 4] };
/** A model for a rehearsal. */
const QUICK_MODEL = { layers: 2, dModel: 32, vocabSize: 64 };

function requestOf(flags: VersusFlags): VersusRequest {
  const { systems = [], quick = false, only, seconds = 5, memory, measure: measures, corpus } = flags;
  const has = (part: Part): boolean => only === undefined || only === part;
  const defaults = quick ? QUICK : FULL;
  const generation = {
    size: quick ? QUICK_MODEL : GENERATION_SIZES[flags.model],
    prompts: flags.prompts ?? defaults.prompts,
    tokens: flags.tokens ?? defaults.tokens,
    batches: flags.rows ?? defaults.rows,
    seconds: 12 * seconds,
  };
  const recipes = quick ? QUICK_RECIPES : RECIPES;
  const tasks = {
    recipes: recipes.filter(({ task }) => task !== 'language' || corpus !== undefined),
    seconds: 24 * seconds,
  };
  return {
    systems,
    dModel: flags.dModel ?? defaults.dModel,
    batch: flags.batch ?? 1,
    lengths: has('blocks') ? (flags.lengths ?? defaults.lengths) : [],
    measures,
    seconds,
    memory: memory && memory * 2 ** 30,
    budget: flags.budget ?? (quick ? 20 : undefined),
    ...(has('generation') && { generation }),
    ...(has('tasks') && { tasks }),
  };
}

function powers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => 2 ** (from + index));
}

/** @throws MambaError `io`, and `invalid-argument` where the document has no place for it. */
async function intoDocument(file: string, text: string): Promise<void> {
  const document = await readText(file);
  const replaced = replaceGenerated(document, text);
  if (replaced === undefined)
    throw new MambaError('invalid-argument', `${file} has no place for the result`, {
      origin: file,
      remedy: 'Take the two marks from docs/versus.md.',
    });
  writeWhole(replaced, file);
}
