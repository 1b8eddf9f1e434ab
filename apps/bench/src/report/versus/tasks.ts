/** What models learnt, as tables: a row for each system, a column for each length of the test. */
import type { TaskName, TaskRecipe, TaskRow, VersusReport } from '../../schema/versus.ts';
import { BASELINE } from '../../versus/systems.ts';
import { digits, formatBytes, formatCount, formatSeconds } from '../format.ts';
import { formatLength } from './matrix.ts';

const TASK_TITLES: Readonly<Record<TaskName, string>> = {
  'induction-heads': 'Induction heads: right answers by length',
  'selective-copying': 'Selective copying: right answers by length',
  language: 'A language model: bits per byte of held-out text, and the size of the state',
};

export interface TaskTable {
  readonly title: string;
  /** How the models were trained and tested, in a sentence. */
  readonly recipe: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** A result with the name of where it was measured. */
export interface Placed {
  readonly report: VersusReport;
  place(backend: string): string;
}

/**
 * A table for each recipe. Results that share a recipe share a table.
 * @param places Where each result was measured; the column is left out where there is one place alone.
 */
export function taskTables(places: readonly Placed[]): readonly TaskTable[] {
  const recipes = places.flatMap(({ report }) => report.recipes ?? []);
  const distinct = recipes.filter((recipe, index) => recipes.findIndex((other) => same(other, recipe)) === index);
  return distinct.flatMap((recipe) => {
    const rows = places.flatMap(({ report, place }) =>
      (report.recipes ?? []).some((other) => same(other, recipe))
        ? (report.tasks ?? [])
            .filter(({ task }) => task === recipe.task)
            .map((row) => ({ row, place: place(row.backend) }))
        : [],
    );
    if (rows.length === 0) return [];
    const several = new Set(rows.map(({ place }) => place)).size > 1;
    const language = recipe.task === 'language';
    return [
      {
        title: TASK_TITLES[recipe.task],
        recipe: describeRecipe(recipe),
        head: [
          'system',
          ...(several ? ['on'] : []),
          'parameters',
          ...(language ? ['state after 2,048 tokens'] : []),
          'tokens/s in training',
          ...recipe.testLengths.map((length) => `${language ? 'in windows of' : 'at'} ${formatLength(length)}`),
        ],
        rows: rows.map(({ row, place }) => [
          row.label,
          ...(several ? [place] : []),
          formatLength(row.parameters),
          ...(language ? [formatBytes(row.state)] : []),
          row.perSecond === undefined ? '' : formatCount(row.perSecond),
          ...recipe.testLengths.map((length) => resultText(row, length)),
        ]),
      },
    ];
  });
}

export const TASK_LEGEND =
  '≈: stopped, with the time that its steps would take; guessing one of 15 or of 14 symbols is right in 7 %';

/** The right answers of a system at a length, as a share. */
export function shareRight({ accuracy = [] }: Pick<TaskRow, 'accuracy'>, length: number): number | undefined {
  const found = accuracy.find((one) => one.length === length);
  return found && found.right / found.answers;
}

/** How many times as fast Mamba is trained as another system, on the same backend. */
export function trainingRatio(report: VersusReport, row: TaskRow): number | undefined {
  const mamba = report.tasks?.find(
    ({ task, system, backend }) => task === row.task && system === BASELINE && backend === row.backend,
  );
  return mamba?.perSecond === undefined || row.perSecond === undefined ? undefined : mamba.perSecond / row.perSecond;
}

/** `98.4 %`, or a hundred where no answer is wrong. */
export function formatShare(share: number): string {
  if (share === 1) return '100 %';
  const percent = (100 * share).toFixed(share > 0.99 ? 1 : 0);
  return `${percent} %`;
}

function resultText(row: TaskRow, length: number): string {
  if (row.status === 'stopped') return `≈ ${formatSeconds(row.expected!)}`;
  if (row.status !== 'measured') return row.status;
  const share = shareRight(row, length);
  if (share !== undefined) return formatShare(share);
  const heldOut = row.heldOut?.find((one) => one.length === length);
  return heldOut === undefined ? '–' : heldOut.bitsPerByte.toFixed(3);
}

function describeRecipe(recipe: TaskRecipe): string {
  const { task, layers, dModel, batch, lengths, steps, peak, weightDecay, seed, testSeed, sequences } = recipe;
  const language = task === 'language';
  const tested = language
    ? 'tested on text that was held out, as many bytes at each length'
    : `tested on ${sequences} fresh sequences of each length, seed ${testSeed}`;
  const pairs = recipe.feedForward ? '; attention and retention are followed by feed-forward blocks' : '';
  return (
    `${layers} layers of d_model ${dModel}, about equal in parameters${pairs}; ${formatLength(steps)} steps of ` +
    `${batch} × ${lengths.join(', ')} ${language ? 'bytes' : 'tokens'}${lengths.length > 1 ? ' in turn' : ''}, AdamW at ` +
    `${digits(peak)} with weight decay ${weightDecay}, seed ${seed}; ${tested}`
  );
}

function same(a: TaskRecipe, b: TaskRecipe): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
