/** The body of a report as HTML, without a page around it: the file and the web page share it. */

import { PLACES } from '../../machine/modes.ts';
import type { BackendRecord, Report, ReportSet } from '../../schema/report.ts';
import { absence, describeCeilings, digits, formatBytes } from '../format.ts';
import { targetsOf } from '../targets.ts';
import { type Chart, chartsOf } from './charts.ts';
import { escapeHtml } from './escape.ts';
import { letter, seriesOf } from './series.ts';
import { HEADINGS, renderTable, suitesOf } from './tables.ts';

export function renderBody({ reports, notes }: Pick<ReportSet, 'reports' | 'notes'>, document: Document): string {
  const charts = chartsOf(seriesOf(reports), document);
  const figures = (name: string): string => (charts[name] ?? []).map(renderChart).join('\n');
  const sections = suitesOf(reports).map((suite) => {
    const note = notesOf(suite, reports);
    return `<section id="${escapeHtml(suite)}"><h2>${escapeHtml(HEADINGS[suite] ?? suite)}</h2>${note}${figures(suite)}${renderTable(suite, reports)}</section>`;
  });
  const limits = figures('limits');
  return [
    `<div class="cards">${reports.map((report, index) => renderMachine(report, reports.length > 1 ? letter(index) : '')).join('\n')}</div>`,
    notes.length > 0 ? `<ul class="quiet">${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('')}</ul>` : '',
    ...reports.map((report, index) => renderTargets(report, reports.length > 1 ? letter(index) : '')),
    figures('overview'),
    limits && `<section id="limits"><h2>Against the machine’s limits</h2>${limits}</section>`,
    ...sections,
    ...reports.map(renderGeneration),
    renderLegend(reports),
  ]
    .filter(Boolean)
    .join('\n');
}

function renderChart({ title, caption, element, legend = [] }: Chart): string {
  const items = legend.map(({ label, color }) => `<li><i style="background:${color}"></i>${escapeHtml(label)}</li>`);
  const key = items.length === 0 ? '' : `<ul class="legend">${items.join('')}</ul>`;
  return `<figure><h3>${escapeHtml(title)}</h3><figcaption>${escapeHtml(caption)}</figcaption>${key}<div class="plots">${element.outerHTML}</div></figure>`;
}

function renderMachine(
  { machine, ceilings, backends, startedAt, interrupted, tool, settings }: Report,
  mark: string,
): string {
  const { cpu, cores, memory, load, os, arch, engine } = machine;
  const facts: [string, string][] = [
    ['machine', `${cores} ${cores === 1 ? 'core' : 'cores'}, ${formatBytes(memory)}, ${os}, ${arch}`],
    ['engine', `${engine.name === 'node' ? 'Node' : engine.name} ${engine.version}`],
    ...describeCeilings(ceilings).map((text): [string, string] => ['limits', text]),
    ...backends.map((backend): [string, string] => [backend.name, describeBackend(backend)]),
    ['run', `${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${settings.effort}, bench ${tool.version}`],
  ];
  const warnings = [
    interrupted && 'stopped early: what was measured until then is here',
    load > 0.5 * cores && `other work was running (load ${digits(load)}): times are longer and spread`,
  ].filter((warning) => warning !== false);
  const rows = facts.map(([name, text]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd>`);
  const badge = mark === '' ? '' : `<span class="letter">${mark}</span>`;
  return `<div class="card"><h3>${badge}${escapeHtml(cpu)}</h3>${warnings
    .map((warning) => `<p class="bad">${escapeHtml(warning)}</p>`)
    .join('')}<dl>${rows.join('')}</dl></div>`;
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
      const look = met === undefined ? 'quiet' : met ? 'good' : 'bad';
      return `<td class="n"><b class="${look}">${figure}</b> <small>${goal}</small><br><small>${spread}</small></td>`;
    }).join('');
  const body = rows.map(
    (row) => `<tr class="first"><th scope="row" class="wide">${escapeHtml(row.label)}</th>${cells(row)}</tr>`,
  );
  const head = PLACES.map((mode) => `<th scope="col" class="n">${mode}</th>`).join('');
  return `<section><h2>${badge}Goals of @mamba/cpu</h2><p class="quiet">Each figure beside its goal, with the 10th and 90th percentile of one against the other.</p><div class="scroll"><table><thead><tr><th scope="col">goal</th>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div></section>`;
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
