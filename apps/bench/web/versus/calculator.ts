/** Attention's memory by its formulas, with the reader's numbers, beside what was really allocated here. */
import { formatBytes, formatCount } from '../../src/report/format.ts';
import { escapeHtml } from '../../src/report/html/escape.ts';
import { scrolled } from '../../src/report/html/scrolled.ts';
import { formatLength } from '../../src/report/versus/matrix.ts';
import type { VersusPoint, VersusReport } from '../../src/schema/versus.ts';
import {
  type AttentionMemory,
  type AttentionShape,
  attentionMemory,
  BERT_BASE,
} from '../../src/versus/attention-memory.ts';

const INPUTS: Readonly<Record<keyof AttentionShape, string>> = {
  parameters: 'parameters',
  layers: 'layers',
  heads: 'heads',
  dModel: 'd_model',
  length: 'length',
  batch: 'batch',
  bytesPerValue: 'bytes a value',
};

const ROWS: readonly (readonly [keyof AttentionMemory, string, string])[] = [
  ['weights', 'weights', 'parameters · bytes'],
  ['scores', 'scores of one layer', 'batch · heads · length² · bytes'],
  ['flashScores', 'instead of them, in tiles (FlashAttention)', 'batch · heads · length · bytes'],
  ['queriesKeysValues', 'queries, keys and values of one layer', '3 · batch · length · d_model · bytes'],
  ['forward', 'a forward pass, one layer at a time', 'weights + scores + queries, keys and values'],
  ['flashForward', 'the same in tiles', ''],
  ['training', 'training by AdamW', '4 · weights + layers · (scores + queries, keys and values)'],
  ['flashTraining', 'the same in tiles', ''],
  ['cache', 'the cache that generation keeps', '2 · layers · batch · length · d_model · bytes'],
];

/** Shows the calculator. Returns what draws it again, for when the result is another one. */
export function showCalculator(root: HTMLElement, report: () => VersusReport | undefined): () => void {
  const inputs = Object.entries(INPUTS).map(
    ([key, label]) =>
      `<label>${label}<input type="number" min="1" step="1" required name="${key}" value="${BERT_BASE[key as keyof AttentionShape]}"></label>`,
  );
  root.innerHTML = `<h2 id="calculator-title">What attention’s memory would be</h2>
<p class="quiet">By the formulas. It begins with BERT-base at 512 tokens × 32 sequences: 440 MB of weights, 403 MB of one layer’s scores and 151 MB of its queries, keys and values are 0.93 GiB.</p>
<form class="card numbers">${inputs.join('')}</form><div class="out"></div>`;
  const form = root.querySelector('form')!;
  const out = root.querySelector<HTMLElement>('.out')!;
  const update = (): void => {
    const data = new FormData(form);
    const shape = Object.fromEntries(Object.keys(INPUTS).map((key) => [key, Number(data.get(key))]));
    out.innerHTML = form.checkValidity()
      ? render(attentionMemory(shape as unknown as AttentionShape)) + renderAllocated(report())
      : '<p class="bad">Each of these is a whole number of 1 or more.</p>';
  };
  form.addEventListener('input', update);
  form.addEventListener('submit', (event) => event.preventDefault());
  update();
  return update;
}

/** In the units of the seed: 440 MB are 440 million bytes. */
function decimal(bytes: number): string {
  return `${formatCount(bytes)}B`;
}

function render(memory: AttentionMemory): string {
  const rows = ROWS.map(
    ([key, label, formula]) =>
      `<tr><th scope="row" class="wide">${label}</th><td class="n strong">${decimal(memory[key])}</td><td class="n">${formatBytes(memory[key])}</td><td class="quiet formula">${formula}</td></tr>`,
  );
  return scrolled(
    'What attention would take',
    `<table><thead><tr><th scope="col">part</th><th scope="col" class="n">takes</th><th scope="col" class="n">or</th><th scope="col">formula</th></tr></thead><tbody>${rows.join('')}</tbody></table>`,
  );
}

/** What the blocks of the result really took, at the longest length that each was measured at. */
function renderAllocated(report: VersusReport | undefined): string {
  const rows = (report?.systems ?? []).flatMap(({ name, label }) => {
    const at = (measure: string) =>
      report!.points.filter((p) => p.system === name && p.measure === measure && p.memory !== undefined).at(-1);
    const [forward, step, train] = [at('forward'), at('step'), at('train')];
    if (forward === undefined) return [];
    const cell = (point: VersusPoint | undefined, key: 'peak' | 'state'): string => {
      const bytes = point?.memory?.[key];
      return bytes === undefined
        ? '<td class="n">–</td>'
        : `<td class="n">${formatBytes(bytes)} <small>at ${formatLength(point!.length)}</small></td>`;
    };
    return [
      `<tr><th scope="row">${escapeHtml(label)}</th>${cell(forward, 'peak')}${cell(train, 'peak')}${cell(step, 'state')}</tr>`,
    ];
  });
  if (rows.length === 0) return '';
  return `<h3>What one block really took here, as the backend counted it</h3>${scrolled('What a block took', `<table><thead><tr><th scope="col">system</th><th scope="col" class="n">forward</th><th scope="col" class="n">training</th><th scope="col" class="n">state of a step</th></tr></thead><tbody>${rows.join('')}</tbody></table>`)}`;
}
