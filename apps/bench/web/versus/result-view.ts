/** Shows a result: plots, where Mamba takes less, generation, and every number as a table. A result may grow. */

import { digits } from '../../src/report/format.ts';
import { escapeHtml } from '../../src/report/html/escape.ts';
import { scrolled } from '../../src/report/html/scrolled.ts';
import {
  CROSSING_LEGEND,
  CROSSING_TITLES,
  crossingTable,
  formatLength,
  generationTable,
  generationText,
  LEGEND,
  MEASURE_TITLES,
  matrixOf,
  QUANTITY_TITLES,
  type Quantity,
} from '../../src/report/versus/matrix.ts';
import { TASK_LEGEND, taskTables } from '../../src/report/versus/tasks.ts';
import { MEASURES, type Measure, type VersusReport } from '../../src/schema/versus.ts';
import { ChartView } from './chart-view.ts';

const HINTS: Readonly<Record<Measure, string>> = {
  forward: 'The block over a whole sequence at once, as when a prompt is read.',
  step: 'One token after a sequence, as when a text is written: what came before is only in the state.',
  train: 'Forward, backward, clipping and AdamW of the block.',
};

type Speed = Extract<Quantity, 'time' | 'rate'>;

export class ResultView {
  readonly #root: HTMLElement;
  readonly #charts = new Map<string, ChartView>();
  #whole: VersusReport | undefined;
  /** What is shown of it. */
  #report: VersusReport | undefined;
  #hidden: ReadonlySet<string> = new Set();
  #speed: Speed = 'time';

  constructor(root: HTMLElement) {
    this.#root = root;
    new ResizeObserver(() => this.#draw()).observe(root);
    root.addEventListener('change', ({ target }) => {
      const input = target as HTMLInputElement;
      if (input.name !== 'speed') return;
      this.#speed = input.value as Speed;
      if (this.#whole !== undefined) this.show(this.#whole);
    });
  }

  clear(): void {
    this.#whole = undefined;
    this.#report = undefined;
    this.#charts.clear();
    this.#root.replaceChildren();
  }

  /** Leaves these systems out of what is shown, now and later. */
  hide(systems: ReadonlySet<string>): void {
    this.#hidden = systems;
    if (this.#whole !== undefined) this.show(this.#whole);
  }

  show(whole: VersusReport): void {
    this.#whole = whole;
    const report = without(whole, this.#hidden);
    const key = layoutOf(report);
    this.#report = report;
    if (this.#root.dataset.layout !== key || this.#root.childElementCount === 0) {
      this.#build(report);
      this.#root.dataset.layout = key;
    }
    const [backend] = report.backends;
    for (const element of this.#root.querySelectorAll<HTMLElement>('[data-table]'))
      element.innerHTML = backend === undefined ? '' : renderTable(report, backend.name, element.dataset.table!);
    this.#draw();
  }

  /** Sections for what has points so far; charts and tables are filled in as points come. */
  #build(report: VersusReport): void {
    this.#charts.clear();
    const measures = MEASURES.filter((measure) => report.points.some((point) => point.measure === measure));
    const { dModel, batch, clock } = report.settings;
    const [backend] = report.backends;
    const facts = `${backend?.description ?? ''}; blocks of width ${dModel}, ${batch === 1 ? 'one sequence' : `${batch} sequences`}${clock === 'processor' ? '; times of the processor' : ''}`;
    const toggle = `<fieldset class="switch"><legend class="visually-hidden">Speed as</legend>${(
      [
        ['time', 'Time'],
        ['rate', 'Tokens a second'],
      ] as const
    )
      .map(
        ([value, text]) =>
          `<label><input type="radio" name="speed" value="${value}"${this.#speed === value ? ' checked' : ''}><span>${text}</span></label>`,
      )
      .join('')}</fieldset>`;
    this.#root.innerHTML = [
      measures.length > 0 ? `<div class="bar-of-facts"><p class="quiet">${escapeHtml(facts)}</p>${toggle}</div>` : '',
      ...measures.map(
        (measure) =>
          `<section class="measure"><h2>${MEASURE_TITLES[measure]}</h2><p class="quiet">${HINTS[measure]}</p><div class="pair"><figure data-chart="${measure} speed"></figure><figure data-chart="${measure} memory"></figure></div><details><summary>The numbers</summary><div data-table="${measure}"></div></details></section>`,
      ),
      '<div data-table="crossings"></div>',
      '<div data-table="generation"></div>',
      '<div data-table="tasks"></div>',
      '<div data-table="systems"></div>',
    ].join('');
    for (const figure of this.#root.querySelectorAll<HTMLElement>('[data-chart]'))
      this.#charts.set(figure.dataset.chart!, new ChartView(figure));
  }

  #draw(): void {
    const report = this.#report;
    const [backend] = report?.backends ?? [];
    if (report === undefined || backend === undefined) return;
    for (const [key, chart] of this.#charts) {
      const [measure, what] = key.split(' ') as [Measure, string];
      const quantity = what === 'memory' ? 'memory' : this.#speed;
      const title = QUANTITY_TITLES[measure][quantity];
      chart.draw(report, { backend: backend.name, measure, quantity, title });
    }
  }
}

/** A result without some systems. The others keep their places in the table, and so their colours. */
function without(report: VersusReport, hidden: ReadonlySet<string>): VersusReport {
  const shown = ({ system }: { readonly system: string }): boolean => !hidden.has(system);
  return {
    ...report,
    systems: report.systems.filter(({ name }) => !hidden.has(name)),
    points: report.points.filter(shown),
    crossings: report.crossings.filter(({ against }) => !hidden.has(against)),
    ...(report.tasks !== undefined && { tasks: report.tasks.filter(shown) }),
  };
}

/** Results of one layout differ in their numbers alone. */
function layoutOf({ points, settings, backends }: VersusReport): string {
  const measures = MEASURES.filter((measure) => points.some((point) => point.measure === measure));
  return JSON.stringify([measures, settings.dModel, settings.batch, backends.map(({ description }) => description)]);
}

function renderTable(report: VersusReport, backend: string, what: string): string {
  if (what === 'crossings') return renderCrossings(report, backend);
  if (what === 'generation') return renderGeneration(report, backend);
  if (what === 'tasks') return renderTasks(report, backend);
  if (what === 'systems') return renderSystems(report, backend);
  const measure = what as Measure;
  const tables = (['time', 'rate', 'memory'] as const).flatMap(
    (quantity) => matrixOf(report, backend, measure, quantity) ?? [],
  );
  return `${tables
    .map(({ quantity, lengths, rows }) =>
      table(
        QUANTITY_TITLES[measure][quantity],
        ['system', ...lengths.map(formatLength)],
        rows.map(({ label, cells }) => [label, ...cells.map(({ text }) => text)]),
      ),
    )
    .join('')}<p class="quiet">${LEGEND}.</p>`;
}

function renderCrossings(report: VersusReport, backend: string): string {
  const tables = (['time', 'memory'] as const).flatMap((of) => crossingTable(report, backend, of) ?? []);
  if (tables.length === 0) return '';
  return `<section><h2>Where Mamba begins to win</h2><p class="quiet">${CROSSING_LEGEND}.</p>${tables
    .map(({ of, measures, rows }) =>
      table(
        CROSSING_TITLES[of],
        ['system', ...measures.map((measure) => MEASURE_TITLES[measure].toLowerCase())],
        rows.map(({ label, cells }) => [label, ...cells]),
        (text) => (/^(always|from)/.test(text) ? 'good' : ''),
      ),
    )
    .join('')}</section>`;
}

function renderGeneration(report: VersusReport, backend: string): string {
  const found = generationTable(report, backend);
  if (found === undefined) return '';
  const several = found.models.length > 1;
  const [{ dModel } = { dModel: 0 }] = report.generation;
  const rows = found.rows.map(({ prompt, tokens, batch, cells, ratio }) => [
    `${formatLength(prompt)} + ${tokens}`,
    String(batch),
    ...cells.map(generationText),
    ...(several ? [ratio === undefined ? '' : `${digits(ratio)}×`] : []),
  ]);
  const head = ['prompt + new', 'rows', ...found.models, ...(several ? ['Mamba over it'] : [])];
  return `<section><h2>Generation by whole models</h2><p class="quiet">New tokens a second of all rows, the prompt included; models of width ${dModel}, of equal size.</p>${table('', head, rows)}</section>`;
}

function renderTasks(report: VersusReport, backend: string): string {
  const own = { ...report, tasks: (report.tasks ?? []).filter((row) => row.backend === backend) };
  const tables = taskTables([{ report: own, place: (name) => name }]);
  if (tables.length === 0) return '';
  return `<section><h2>What they learn</h2>${tables
    .map(({ title, recipe, head, rows }) => `${table(title, head, rows)}<p class="quiet">${escapeHtml(recipe)}.</p>`)
    .join('')}<p class="quiet">${TASK_LEGEND}.</p></section>`;
}

function renderSystems(report: VersusReport, backend: string): string {
  const rows = report.systems.map(({ name, label, parameters, grows, remembers }) => {
    const agreement = report.agreements.find((one) => one.system === name && one.backend === backend);
    const check =
      agreement === undefined
        ? 'not yet'
        : agreement.status === 'agrees'
          ? `error ${(agreement.check?.relativeError ?? 0).toExponential(1)}`
          : `${agreement.status}: ${agreement.reason ?? ''}`;
    return [label, `${digits(parameters / 1e3)} k`, grows, remembers, check];
  });
  const head = ['system', 'parameters', 'work over length', 'a step remembers', 'against the reference'];
  return `<section><h2>The systems</h2>${table('', head, rows, (text) => (/^(disagrees|failed)/.test(text) ? 'bad' : ''))}</section>`;
}

function table(
  caption: string,
  head: readonly string[],
  rows: readonly (readonly string[])[],
  look: (text: string) => string = () => '',
): string {
  const cell = (text: string, index: number): string =>
    index === 0 ? `<th scope="row">${escapeHtml(text)}</th>` : `<td class="n ${look(text)}">${escapeHtml(text)}</td>`;
  return scrolled(
    caption || head.join(', '),
    `<table>${caption && `<caption>${escapeHtml(caption)}</caption>`}<thead><tr>${head
      .map((text, index) => `<th scope="col"${index > 0 ? ' class="n"' : ''}>${escapeHtml(text)}</th>`)
      .join(
        '',
      )}</tr></thead><tbody>${rows.map((row) => `<tr>${row.map(cell).join('')}</tr>`).join('')}</tbody></table>`,
  );
}
