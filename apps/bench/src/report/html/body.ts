/** The body of a report as HTML, without a page around it: the file and the web page share it. */

import { PLACES } from '../../machine/modes.ts';
import type { BackendRecord, Report, ReportSet } from '../../schema/report.ts';
import { absence, describeCeilings, digits, formatBytes, formatRate } from '../format.ts';
import { type Headline, headlineOf } from '../headline.ts';
import { wordsOf } from '../suites.ts';
import { targetsOf } from '../targets.ts';
import { asImage } from './axes.ts';
import { type Canvas, type Chart, NARROW, WIDE } from './charts/canvas.ts';
import { chartsOf } from './charts/index.ts';
import { escapeHtml } from './escape.ts';
import { scrolled } from './scrolled.ts';
import { letter, seriesOf } from './series.ts';
import { renderTable, suitesOf } from './tables.ts';

/** @param beside A section that stands behind those of the suites. */
export function renderBody(
  { reports, notes }: Pick<ReportSet, 'reports' | 'notes'>,
  document: Document,
  beside = '',
): string {
  const charts = chartsOf(seriesOf(reports));
  const figures = (name: string): string =>
    (charts[name] ?? []).map((chart) => renderChart(chart, document)).join('\n');
  const sections = suitesOf(reports).map((suite) => {
    const { heading, tells } = wordsOf(suite);
    const lead = tells === '' ? '' : `<p>${escapeHtml(tells)}</p>`;
    const measured = [notesOf(suite, reports), figures(suite), renderTable(suite, reports)].join('');
    return `<section id="${escapeHtml(suite)}"><h2>${escapeHtml(heading)}</h2>${lead}${measured}</section>`;
  });
  const limits = figures('limits');
  const first = reports[0] && headlineOf(reports[0]);
  const markOf = (index: number): string => (reports.length > 1 ? letter(index) : '');
  const cards = reports.map((report, index) => renderMachine(report, markOf(index), index > 0 ? first : undefined));
  return [
    `<div class="cards">${cards.join('\n')}</div>`,
    notes.length > 0 ? `<ul class="quiet">${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>` : '',
    figures('overview'),
    ...sections,
    beside,
    ...reports.map((report, index) => renderTargets(report, markOf(index))),
    limits && `<section id="limits"><h2>Against the machine’s limits</h2><p>${LIMITS}</p>${limits}</section>`,
    ...reports.map(renderGeneration),
    renderLegend(reports),
  ]
    .filter(Boolean)
    .join('\n');
}

const LIMITS =
  'Tells what is left to gain: at 100 % a kernel takes no longer than the machine’s own arithmetic or memory.';

function renderChart({ title, caption, draw, legend }: Chart, document: Document): string {
  const items = legend?.items.map(
    ({ label, color }) => `<li><i style="background:${color}"></i>${escapeHtml(label)}</li>`,
  );
  const key = items === undefined ? '' : `<ul class="legend${legend?.always ? '' : ' narrow'}">${items.join('')}</ul>`;
  const drawing = (canvas: Omit<Canvas, 'document'>): string => asImage(draw({ ...canvas, document }), title).outerHTML;
  const head = `<h3>${escapeHtml(title)}</h3><figcaption>${escapeHtml(caption)}</figcaption>`;
  const plots = `<div class="plots wide">${drawing(WIDE)}</div><div class="plots narrow">${drawing(NARROW)}</div>`;
  return `<figure>${head}${key}${plots}</figure>`;
}

/** Tokens a second in large figures; where machines are compared, beside those of the first. */
function renderHeadline(report: Report, first: Headline | undefined): string {
  const found = headlineOf(report);
  if (found === undefined) return '<p class="quiet">No tokens a second yet: the suite “model” measures them.</p>';
  const { writes, reads, model } = found;
  const figure = (word: string, speed: Headline['reads'], beside: Headline['reads']): string => {
    if (speed === undefined) return '';
    const ratio =
      beside === undefined || first?.model !== model
        ? ''
        : ` <small>${digits(speed.perSecond / beside.perSecond)}× A</small>`;
    const where = `${word} on ${escapeHtml(speed.backend)}`;
    return `<p><b>${formatRate(speed.perSecond)}</b> tokens a second, ${where}${ratio}</p>`;
  };
  const figures = figure('writing', writes, first?.writes) + figure('reading a prompt', reads, first?.reads);
  return `<div class="headline">${figures}<p class="quiet">by ${escapeHtml(model)}</p></div>`;
}

function renderMachine(report: Report, mark: string, first: Headline | undefined): string {
  const { machine, ceilings, backends, startedAt, interrupted, tool, settings } = report;
  const { cpu, cores, memory, load, os, arch, engine } = machine;
  const facts = [
    ['machine', `${cores} ${cores === 1 ? 'core' : 'cores'}, ${formatBytes(memory)}, ${os}, ${arch}`],
    ['engine', `${engine.name === 'node' ? 'Node' : engine.name} ${engine.version}`],
    ['run', `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${settings.effort}, bench ${tool.version}`],
  ] as const;
  const measured = [
    ...describeCeilings(ceilings).map((text) => ['limits', text] as const),
    ...backends.map((backend) => [backend.name, describeBackend(backend)] as const),
  ];
  const warnings = [
    interrupted && 'stopped early: what was measured until then is here',
    load > 0.5 * cores && `other work was running (load ${digits(load)}): times are longer and spread`,
  ].filter((warning) => warning !== false);
  const list = (pairs: readonly (readonly [string, string])[]): string =>
    `<dl>${pairs.map(([name, text]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd>`).join('')}</dl>`;
  const badge = mark === '' ? '' : `<span class="letter">${mark}</span>`;
  const said = warnings.map((warning) => `<p class="note">${escapeHtml(warning)}</p>`).join('');
  const details = `<details${mark === '' ? ' open' : ''}><summary>Backends and limits</summary>${list(measured)}</details>`;
  const parts = [renderHeadline(report, first), said, list(facts), details].join('');
  return `<section class="card"><h2>${badge}${escapeHtml(cpu)}</h2>${parts}</section>`;
}

function describeBackend({ status, description, reason, slow, how, version }: BackendRecord): string {
  if (status !== 'ready') return absence(status, reason);
  const marks = [
    description?.includes(version ?? '') ? undefined : version,
    slow !== undefined && `${slow}: small shapes, compared with nothing`,
    how,
  ];
  return [description, ...marks.filter(Boolean)].join('; ');
}

function notesOf(suite: string, reports: readonly Report[]): string {
  const results = reports.flatMap((report) => report.results.filter((result) => result.suite === suite));
  const checks = [...new Set(results.flatMap(({ check }) => (check === undefined ? [] : [check.checked])))];
  const shape = results[0]?.shape ?? {};
  const facts = Object.entries(shape)
    .filter(([name]) => results.every((result) => result.shape[name] === shape[name]))
    .map(([name, value]) => `${name} ${value}`);
  const said = [
    facts.length > 0 && `${facts.join(', ')}.`,
    checks.length === 1 && `Checked: ${checks[0]}.`,
    checks.length > 1 && `Checked: ${suite === 'scan' ? `${checks[0]}; the largest on a part` : checks.join('; ')}.`,
  ].filter((text) => text !== false);
  return said.length === 0 ? '' : `<p class="quiet">${escapeHtml(said.join(' '))}</p>`;
}

/** The goals of @mamba/cpu, where their candidates ran. */
function renderTargets(report: Report, mark: string): string {
  const rows = targetsOf(report);
  if (rows.length === 0) return '';
  const badge = mark === '' ? '' : `<span class="letter">${mark}</span>`;
  const cells = ({ cells: found }: (typeof rows)[number]): string =>
    PLACES.map((mode) => {
      const cell = found[mode];
      if (cell === undefined) return '<td class="n">–</td>';
      const { figure, goal, spread, met } = cell;
      // A goal that was missed is no error, and colours alone tell nothing.
      const word = met === undefined ? '' : met ? ' <span class="good">met</span>' : ' missed';
      return `<td class="n"><b>${figure}</b> <small>${goal}${word}</small><br><small>${spread}</small></td>`;
    }).join('');
  const body = rows.map(
    (row) => `<tr class="first"><th scope="row" class="wide">${escapeHtml(row.label)}</th>${cells(row)}</tr>`,
  );
  const head = PLACES.map((mode) => `<th scope="col" class="n">${mode}</th>`).join('');
  const note = 'Each figure beside its goal, with the 10th and 90th percentile of one against the other.';
  const table = `<table><thead><tr><th scope="col">goal</th>${head}</tr></thead><tbody>${body.join('')}</tbody></table>`;
  const heading = `<h2>${badge}Goals of @mamba/cpu</h2>`;
  return `<section>${heading}<p class="quiet">${note}</p>${scrolled('Goals', table)}</section>`;
}

function renderGeneration({ generation }: Report): string {
  if (generation === undefined) return '';
  const { checkpoint, backend, prompt, text, tokens, seconds } = generation;
  return `<section><h2>${escapeHtml(checkpoint)} writes</h2><blockquote><b>${escapeHtml(prompt)}</b>${escapeHtml(text)}</blockquote><p class="quiet">${tokens} tokens on ${escapeHtml(backend)}, ${digits(tokens / seconds)} tokens a second.</p></section>`;
}

function renderLegend(reports: readonly Report[]): string {
  const beyond = reports.some(({ results }) =>
    results.some(({ ceiling }) => ceiling !== undefined && ceiling.share > 1),
  );
  return `<footer><p>Times are medians of one call, with the 10th and 90th percentile; the first call, with whatever compiles in it, stands apart. “of limit” is the least time that the arithmetic (ops) or the memory traffic (mem) of a call takes at the machine’s limits, measured again between its samples, over the time it took; an exp counts as 16 operations.${beyond ? ' Beyond 100 %, the data fits in the processor’s cache, or other work met the limit’s short samples more than the call’s.' : ''} “error” is the largest difference from the float64 reference, relative to the largest value; nothing is timed that is beyond its tolerance.</p></footer>`;
}
