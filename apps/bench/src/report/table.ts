/** A report as text: a heading, a table for each suite, a legend. */
import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { mambaTitle } from '../blocks/mamba.ts';
import type { SuiteName } from '../cases/contract.ts';
import type { BackendRecord, Ceiling, Report, Result } from '../schema/report.ts';
import {
  absence,
  describeCeilings,
  digits,
  formatBytes,
  formatCount,
  formatError,
  formatPercent,
  formatPower,
  formatRange,
  formatRate,
  formatSeconds,
} from './format.ts';
import { headlineOf, type Speed } from './headline.ts';
import type { Style } from './style.ts';
import { wordsOf } from './suites.ts';

export interface Look {
  readonly style: Style;
  /** Columns of the terminal. */
  readonly width: number;
}

/** The heading: the machine and its state. */
export function renderHeading({ machine }: Pick<Report, 'machine'>, { style, width }: Look): string {
  const { cpu, cores, memory, load, os, arch, engine } = machine;
  const facts = [
    cpu,
    `${cores} ${cores === 1 ? 'core' : 'cores'}`,
    formatBytes(memory),
    `${os.split(' ')[0]} ${arch}`,
    `${engine.name === 'node' ? 'Node' : engine.name} ${engine.version}`,
  ];
  const lines = [style.bold('mamba bench'), ...wrap(facts.join(' · '), width)];
  // A desktop at rest may take half a processor.
  if (load > 0.5 * cores) {
    const warning = `other work is running (load ${digits(load)} on ${cores} cores): times will be longer and spread`;
    lines.push(...wrap(warning, width).map((line) => style.yellow(line)));
  }
  return lines.join('\n');
}

export function renderBackends(backends: readonly BackendRecord[], look: Look): string {
  const { style } = look;
  const names = nameWidthOf(backends);
  return backends
    .map(({ name, status, description, reason, slow }) => {
      const ready = status === 'ready';
      const text = ready
        ? `${description}${slow === undefined ? '' : ' · small shapes only'}`
        : absence(status, reason);
      const failed = status === 'failed';
      const mark = ready ? style.green('●') : failed ? style.red('✕') : style.dim('○');
      return entry(`${mark} ${name.padEnd(names)}`, text, ready ? String : failed ? style.red : style.dim, names, look);
    })
    .join('\n');
}

/** The lines of the limits, indented like the backends above. */
export function renderCeilings(ceilings: readonly Ceiling[], backends: readonly BackendRecord[], look: Look): string {
  const names = nameWidthOf(backends);
  return describeCeilings(ceilings)
    .map((text, index) => {
      const name = index === 0 ? 'limits' : '';
      return entry(`  ${look.style.dim(name.padEnd(names))}`, text, String, names, look);
    })
    .join('\n');
}

/** Says that the tables which are printed already count with earlier limits than those of the run's end. */
export function renderCorrection({ style, width }: Look): string {
  const text =
    'The limits, measured again, were higher: shares of limits above are of the earlier ones, in the JSON and the report of these:';
  return wrap(text, width - 2)
    .map((line) => `  ${style.dim(line)}`)
    .join('\n');
}

/** A name and its text, broken into lines beside the name. */
function entry(name: string, text: string, paint: (line: string) => string, names: number, { width }: Look): string {
  const [first, ...others] = wrap(text, width - names - 6).map(paint);
  return [`  ${name}  ${first}`, ...others.map((line) => ' '.repeat(names + 6) + line)].join('\n');
}

/**
 * The table of a suite's results; empty where there are none. Columns that do not fit are left out, the least needed
 * first.
 */
export function renderSuite(name: SuiteName, report: Report, look: Look): string {
  const results = report.results.filter(({ suite }) => suite === name);
  if (results.length === 0) return '';
  const { style, width } = look;
  const contested = new Set(results.filter(({ slow }) => slow === undefined).map(({ backend }) => backend)).size > 1;
  const mixed = new Set(results.filter(({ slow }) => slow === undefined).map(({ dtype }) => dtype)).size > 1;
  let columns = COLUMNS[name].filter(
    (column) =>
      (column !== RATIO || contested) && (column !== DTYPE || mixed || name === 'quantised' || name === 'peers'),
  );
  let table = renderTable(columns, results, look);
  for (const dropped of DISPENSABLE) {
    if (table.every((line) => stripVTControlCharacters(line).length + 2 <= width)) break;
    columns = columns.filter((column) => column !== dropped);
    table = renderTable(columns, results, look);
  }
  return [
    ...title(name, TITLES[name](results), look),
    ...wrap(wordsOf(name).tells, Math.min(width, 100) - 2).map((line) => indent(style.dim(line))),
    ...table.map(indent),
    ...renderNotes(name, report, results, look).map((note) => indent(style.dim(note))),
  ].join('\n');
}

/** The suite's name and its common facts. */
function title(name: string, text: string, { style, width }: Look): string[] {
  const [first = '', ...others] = wrap(text, Math.max(width - name.length - 2, 16));
  return [
    `${style.bold(name)}  ${style.dim(first)}`,
    ...others.map((line) => style.dim(' '.repeat(name.length + 2) + line)),
  ];
}

/** Tokens a second, printed after all tables; empty where no model wrote. */
export function renderHeadline(report: Report, { style, width }: Look): string {
  const headline = headlineOf(report);
  if (headline === undefined) return '';
  const { writes, reads, model } = headline;
  const rate = ({ perSecond }: Speed): string => style.bold(`${formatRate(perSecond)} tokens/s`);
  const backends = [...new Set([writes, ...(reads === undefined ? [] : [reads])].map(({ backend }) => backend))];
  return [
    `  ${rate(writes)} written${reads === undefined ? '' : `, ${rate(reads)} read`}`,
    ...wrap(`by ${model}, on ${backends.join(' and ')}`, width - 2).map((line) => `  ${style.dim(line)}`),
  ].join('\n');
}

/** The legend of the numbers, printed once at the end. */
export function renderLegend(report: Report, { style, width }: Look): string {
  const text = [
    'Times are medians of one call, with the 10th and 90th percentile.',
    report.ceilings.length > 0
      ? '“of limit” is the least time that the arithmetic (ops) or the memory traffic (mem) of a call takes at the limits above, measured again between its samples, over the time it took; an exp counts as 16 operations.'
      : '',
    report.results.some(({ ceiling }) => ceiling !== undefined && ceiling.share >= 0.995)
      ? 'Shares of 100 % and more: the weights fit in the processor’s cache, which is faster than the memory, or other work met the limit’s short samples more than the call’s.'
      : '',
    '“error” is the largest difference from the float64 reference, relative to the largest value; nothing is timed that is beyond its tolerance.',
  ];
  return wrap(text.filter(Boolean).join(' '), Math.min(width, 100) - 2)
    .map((line) => style.dim(`  ${line}`))
    .join('\n');
}

function renderTable(columns: readonly Column[], results: readonly Result[], look: Look): string[] {
  const { style, width } = look;
  const table = new Table({
    head: columns.map(({ head }) => style.dim(head)),
    colAligns: columns.map(({ left }) => (left === true ? 'left' : 'right')),
    chars: NO_RULES,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  const [first, second, ...others] = columns;
  for (const [index, result] of results.entries()) {
    // Slow backends stand apart.
    if (result.slow !== undefined && index > 0 && results[index - 1]!.slow === undefined)
      table.push(columns.map(() => ''));
    if (result.time !== undefined) {
      table.push(columns.map(({ cell }) => cell(result, results, look)));
      continue;
    }
    // What a backend does not support is by design.
    const paint = result.status === 'skipped' ? style.dim : style.red;
    const reason = wrap(`${result.status}: ${result.reason}`, width - 32).map((line) => paint(line));
    table.push([
      first!.cell(result, results, look),
      second!.cell(result, results, look),
      { colSpan: others.length, content: reason.join('\n'), hAlign: 'left' },
    ]);
  }
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

interface Column {
  readonly head: string;
  readonly left?: boolean;
  cell(result: Result, all: readonly Result[], look: Look): string;
}

const BACKEND: Column = {
  head: 'backend',
  left: true,
  cell: ({ backend, slow }, _, { style }) => (slow === undefined ? backend : style.dim(`${backend} (${slow})`)),
};
const LENGTH: Column = {
  head: 'length',
  left: true,
  cell: ({ suite, shape: { length = 0 } }) => (suite === 'block' ? String(length) : formatPower(length)),
};
/** The extents that differ from the suite's usual shape. */
const SHAPE: Column = {
  head: 'shape',
  left: true,
  cell: ({ suite, shape }) => describeShape(suite, shape),
};
const DTYPE: Column = { head: 'weights', left: true, cell: ({ dtype }) => dtype };
const MEASURE: Column = {
  head: '',
  left: true,
  // The title tells the layers of `model/prefill-512-layers-24`.
  cell: ({ case: id }) =>
    id
      .slice(id.indexOf('/') + 1)
      .replace(/-layers-(\d+)(-d(\d+))?$/, (_, layers, __, width) =>
        width === undefined || layers === '2' ? '' : `, ${layers} × ${width}`,
      )
      .replaceAll('-', ' ')
      .replace(/(\d+)x(\d+)$/, '$1 × $2')
      .replace(/after (\d+)/, (_, count) => `after ${formatPower(Number(count))}`),
};
const TIME: Column = {
  head: 'time',
  cell: ({ time }, _, { style }) => (time === undefined ? '' : style.bold(formatSeconds(time.median))),
};
const SPREAD: Column = {
  head: 'p10–p90',
  cell: ({ time }, _, { style }) =>
    time === undefined ? '' : style.dim(time.n === 1 ? 'once' : formatRange(time.p10, time.p90, time.median)),
};
const PER_STEP: Column = {
  head: 'ns/step',
  cell: ({ rate }) => (rate === undefined ? '' : digits(1e9 / rate.perSecond)),
};
const TOKENS: Column = {
  head: 'tok/s',
  cell: ({ rate }, _, { style }) => (rate?.unit === 'tokens/s' ? style.bold(digits(rate.perSecond)) : ''),
};
const LIMIT: Column = {
  head: 'of limit',
  cell: ({ ceiling }, _, { style }) =>
    ceiling === undefined
      ? style.dim('–')
      : `${formatPercent(ceiling.share)} ${style.dim(ceiling.id.includes('operations') ? 'ops' : 'mem')}`,
};
const RATIO: Column = {
  head: 'vs best',
  cell(result, all, { style }) {
    if (result.slow !== undefined || result.time === undefined) return style.dim('–');
    const rivals = all.filter(
      ({ case: id, dtype, slow, time }) =>
        id === result.case && dtype === result.dtype && slow === undefined && time !== undefined,
    );
    const best = Math.min(...rivals.map(({ time }) => time!.median));
    const ratio = result.time.median / best;
    return ratio === 1 ? style.green('best') : `${digits(ratio)}×`;
  },
};
/** This is what tensors take: what a backend holds beyond them may come from the cases before. */
const MEMORY: Column = {
  head: 'memory',
  cell: ({ memory }) => (memory === undefined ? '' : formatBytes(memory.tensors)),
};
/** What a call takes at its most. */
const PEAK: Column = {
  head: 'memory',
  cell: ({ memory }) => (memory?.peak === undefined ? '' : formatBytes(memory.peak)),
};
const ERROR: Column = {
  head: 'error',
  cell: ({ check }, _, { style }) =>
    check?.relativeError == null ? style.dim('–') : `${formatError(check.relativeError)} ${style.green('✓')}`,
};

const RATE: Column = {
  head: 'rate',
  cell: ({ rate }) => (rate === undefined ? '' : `${formatCount(rate.perSecond)} ${rate.unit}`),
};
const STATE: Column = {
  head: 'state',
  cell: ({ memory }) => (memory?.state === undefined ? '' : formatBytes(memory.state)),
};

const COLUMNS: Readonly<Record<SuiteName, readonly Column[]>> = {
  scan: [SHAPE, BACKEND, TIME, SPREAD, PER_STEP, LIMIT, RATIO, ERROR],
  conv: [SHAPE, BACKEND, TIME, SPREAD, RATE, LIMIT, RATIO, ERROR],
  linear: [SHAPE, BACKEND, DTYPE, TIME, SPREAD, LIMIT, RATIO, ERROR],
  small: [MEASURE, BACKEND, TIME, SPREAD, RATE, LIMIT, RATIO, ERROR],
  block: [LENGTH, BACKEND, TIME, SPREAD, TOKENS, LIMIT, RATIO, ERROR],
  model: [MEASURE, BACKEND, DTYPE, TIME, TOKENS, LIMIT, RATIO, MEMORY, STATE, ERROR],
  batch: [MEASURE, BACKEND, TIME, TOKENS, LIMIT, RATIO, MEMORY, ERROR],
  context: [MEASURE, BACKEND, TIME, TOKENS, RATIO, STATE, ERROR],
  quantised: [MEASURE, BACKEND, DTYPE, TIME, TOKENS, LIMIT, MEMORY, ERROR],
  train: [MEASURE, BACKEND, TIME, SPREAD, TOKENS, LIMIT, RATIO, PEAK, ERROR],
  peers: [MEASURE, DTYPE, BACKEND, TIME, SPREAD, TOKENS, LIMIT, RATIO, ERROR],
};

const TITLES: Readonly<Record<SuiteName, (results: readonly Result[]) => string>> = {
  scan: (results) =>
    ['selective scan', ...common(results, { batch: 'batch #', dim: 'dim #', state: '# states' })].join(', '),
  conv: (results) =>
    ['causal convolution with SiLU', ...common(results, { batch: 'batch #', dim: 'dim #', width: 'width #' })].join(
      ', ',
    ),
  linear: () => 'matrix products of mamba-130m: in_proj, and the head',
  small: () => 'norms, a sum and a product with SiLU: rows × channels of mamba-130m',
  block: ([result]) => mambaTitle(result?.shape ?? {}),
  model: describeModel,
  batch: (results) => `decode of several sequences at once, ${describeModel(results)}`,
  context: (results) => `decode after a short and a long context, ${describeModel(results)}`,
  train: () => 'steps of training, sequences × tokens: forward, backward, clipping and AdamW; memory at its most',
  peers: (results) => `beside other projects on the same weights, ${describeModel(results)}`,
  quantised: (results) => `weights in fewer bits, ${describeModel(results)}`,
};

/** The facts that all results have in common, in these words. */
function common(results: readonly Result[], words: Readonly<Record<string, string>>): string[] {
  return Object.entries(words).flatMap(([name, word]) => {
    const values = new Set(results.map(({ shape }) => shape[name]));
    const [value] = values;
    return values.size === 1 && value !== undefined ? [word.replace('#', String(value))] : [];
  });
}

function describeModel([result]: readonly Result[]): string {
  const { layers, dModel, vocabSize } = result?.shape ?? {};
  return `${layers} layers, d_model ${dModel}, vocabulary ${vocabSize}, seeded weights`;
}

/** `2^11`, `2^11, dim 64`, `8 × 768 → 3072`. */
function describeShape(
  suite: string,
  { length = 0, batch, dim, state, rows, inputs, outputs }: Result['shape'],
): string {
  if (suite === 'linear') return `${rows} × ${inputs} → ${outputs}`;
  const usual = suite === 'conv' ? { dim: 1536, state: undefined } : { dim: 512, state: 16 };
  const others = [
    dim !== usual.dim && `dim ${dim}`,
    state !== usual.state && `${state} states`,
    batch !== 1 && `batch ${batch}`,
  ];
  return [formatPower(length), ...others].filter(Boolean).join(', ');
}

/** What a slope's points have in common, where that is not the suite's usual shape: ` at dim 64`. */
function describeRest(suite: string, shape: Result['shape']): string {
  const { layers, dModel, batch } = shape;
  if (suite === 'train') return ` at ${layers} layers of d_model ${dModel}, batch ${batch}`;
  const others = describeShape(suite, { ...shape, length: 1 }).replace(/^2\^0(, )?/, '');
  return others === '' ? '' : ` at ${others}`;
}

/** The columns that a narrow terminal goes without, in this order. */
const DISPENSABLE: readonly Column[] = [SPREAD, STATE, MEMORY, ERROR, TIME, PEAK];

export const NO_RULES = Object.fromEntries(
  ['top', 'bottom', 'left', 'right', 'mid']
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`])
    .concat('left-mid', 'right-mid', 'mid-mid', 'middle')
    .map((name) => [name, '']),
);

function renderNotes(name: SuiteName, report: Report, results: readonly Result[], { width }: Look): string[] {
  const notes: string[] = [];
  if (name === 'peers') {
    for (const { name: peer, how, status, reason } of report.backends.filter((backend) => backend.peer))
      notes.push(status === 'ready' ? `${peer}: ${how ?? 'did not open'}` : `${peer}: not here: ${reason}`);
  }
  for (const { suite, backend, over, of: what = 'time', slope, shape = {} } of report.slopes) {
    const slow = results.some((result) => result.backend === backend && result.slow !== undefined);
    if (suite === name && !slow)
      notes.push(`${backend}: ${what} grows as ${over}^${slope.toFixed(2)}${describeRest(name, shape)} (1 is linear)`);
  }
  const checks = new Set(results.flatMap(({ check }) => (check === undefined ? [] : [check.checked])));
  if (checks.size === 1) notes.push(`checked: ${[...checks][0]}`);
  else if (name !== 'scan') notes.push(...[...checks].map((check) => `checked: ${check}`));
  else if (checks.size > 1) notes.push('checked: the shapes themselves, the long ones on some of their channels');
  if (name === 'model' || name === 'batch' || name === 'quantised') {
    const [first] = results;
    const short = results.find(({ slow, shape }) => slow !== undefined && shape.layers !== first?.shape.layers);
    if (short !== undefined && first?.slow === undefined)
      notes.push(`${short.backend} (${short.slow}): ${short.shape.layers} layers`);
    const rss = Math.max(...results.map(({ memory }) => memory?.process ?? 0));
    if (rss > 0) notes.push(`the whole process: ${formatBytes(rss)} resident at most`);
  }
  return notes.flatMap((note) => wrap(note, width - 2));
}

function nameWidthOf(backends: readonly BackendRecord[]): number {
  return Math.max('limits'.length, ...backends.map(({ name }) => name.length));
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

/** Lines of at most `width` characters, broken at spaces. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
