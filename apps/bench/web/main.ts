/** The page: controls of a run, its progress, its results, and reports of other machines beside them. */
import './page.css';
import type { Effort } from '../src/cases/contract.ts';
import { SUITES } from '../src/cases/index.ts';
import { machineKey, machineName } from '../src/compare/key.ts';
import { mergeReports, type NamedReport } from '../src/compare/merge.ts';
import { KNOWN_BACKENDS } from '../src/machine/backends.ts';
import { formatWait } from '../src/report/format.ts';
import { renderBody } from '../src/report/html/body.ts';
import { css } from '../src/report/html/style.ts';
import { wordsOf } from '../src/report/suites.ts';
import { parseReports, type Report } from '../src/schema/report.ts';
import type { Notice, Request } from './messages.ts';
import { offerShipped, shippedReports } from './shipped.ts';
import { hearWorker, saveFile } from './start-worker.ts';

const find = <T extends Element = HTMLElement>(selector: string): T => document.querySelector<T>(selector)!;
const controls = find<HTMLFormElement>('#controls');
const runButton = find<HTMLButtonElement>('#run');
const cancelButton = find<HTMLButtonElement>('#cancel');
const exportButton = find<HTMLButtonElement>('#export');
const importInput = find<HTMLInputElement>('#import');
const threadsInput = find<HTMLInputElement>('#threads');
const bar = find<HTMLProgressElement>('#bar');
const status = find('#status');

const BACKENDS: Readonly<Record<string, string>> = {
  webgpu: 'The GPU, where this browser has WebGPU.',
  cpu: 'The processor, in WebAssembly.',
  reference: 'Plain loops in float64, which the others are checked against. They are slow.',
};

/** Reports that were imported, and this browser's own run. */
let imported: NamedReport[] = [];
/** The report that comes with the page and was chosen to compare with. */
let shipped: NamedReport | undefined;
let own: Report | undefined;
let worker: Worker | undefined;
let total = 1;
let done = 0;
let started = 0;

const style = document.createElement('style');
style.textContent = css;
document.head.prepend(style);
addChoices(
  find('#suites'),
  'suite',
  SUITES.map(({ name, summary }) => ({ name, label: wordsOf(name).heading, tells: wordsOf(name).tells, summary })),
  new Set(['scan', 'block', 'model', 'context']),
);
addChoices(
  find('#backends'),
  'backend',
  KNOWN_BACKENDS.map(({ name }) => ({ name, label: name, tells: BACKENDS[name] ?? '', summary: '' })),
  new Set(['webgpu', 'cpu']),
);
showChosen();
void listShipped();
find('#isolation').textContent = crossOriginIsolated
  ? `This page is cross-origin isolated: threads are possible, on ${navigator.hardwareConcurrency} processors.`
  : 'This page is not cross-origin isolated: one thread only, and a coarser clock.';

threadsInput.disabled = !crossOriginIsolated;

controls.addEventListener('change', showChosen);
controls.addEventListener('submit', (event) => {
  event.preventDefault();
  const [suites, backends] = [chosen('suite'), chosen('backend')];
  if (suites.length === 0 || backends.length === 0) {
    say('Choose at least one suite and one backend.', true);
    return;
  }
  const threads = threadsInput.value.split(/[\s,]+/).flatMap((text) => (text === '' ? [] : [Number(text)]));
  if (threads.some((count) => !Number.isInteger(count) || count < 1 || count > 256)) {
    say('Threads are whole numbers from 1 to 256, or nothing.', true);
    return;
  }
  const effort = find<HTMLSelectElement>('#effort').value as Effort;
  start({ type: 'run', suites, backends, effort, threads });
});
cancelButton.addEventListener('click', () => {
  cancelButton.disabled = true;
  find('#step').textContent = 'stopping after this sample';
  worker?.postMessage({ type: 'cancel' } satisfies Request);
});
exportButton.addEventListener('click', exportReport);
importInput.addEventListener('change', () => {
  void importFiles([...(importInput.files ?? [])]);
  importInput.value = '';
});
addEventListener('dragover', (event) => {
  event.preventDefault();
  find('#drop').hidden = false;
});
addEventListener('dragleave', (event) => {
  if (event.relatedTarget === null) find('#drop').hidden = true;
});
addEventListener('drop', (event) => {
  event.preventDefault();
  find('#drop').hidden = true;
  void importFiles([...(event.dataTransfer?.files ?? [])]);
});

function chosen(name: string): string[] {
  return [...controls.querySelectorAll<HTMLInputElement>(`input[name=${name}]:checked`)].map(({ value }) => value);
}

/** Says in one line what a run would measure, whose choices are folded away. */
function showChosen(): void {
  const words = [chosen('suite').map((name) => wordsOf(name).heading.toLowerCase()), chosen('backend')];
  find('#chosen').textContent = words.map((names) => names.join(', ') || 'nothing').join(' · ');
}

/** Offers the reports that come with the page. */
async function listShipped(): Promise<void> {
  const nameOf = ({ machine, backends, startedAt }: Report): string =>
    [
      // The GPU comes first, since a phone shows no more of a long name.
      ...backends.flatMap(({ details }) => (details?.software === false ? [String(details.device)] : [])),
      machineName(machine),
      `${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`,
      startedAt.slice(0, 10),
    ].join(', ');
  offerShipped(find<HTMLSelectElement>('#shipped'), await shippedReports(), nameOf, (chosen) => {
    shipped = chosen;
    render();
  });
}

function start(request: Request): void {
  // Each run gets a worker of its own, so that nothing of the last run is left.
  worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
  hearWorker<Notice>(worker, { hear, fail: (message) => hear({ type: 'failed', message }) });
  worker.postMessage(request);
  [total, done, started] = [1, 0, performance.now()];
  bar.removeAttribute('value');
  find('#progress').hidden = false;
  runButton.disabled = true;
  cancelButton.disabled = false;
  say('');
}

function hear(notice: Notice): void {
  if (notice.type === 'begin') {
    [total, done, started] = [notice.seconds, 0, performance.now()];
    showProgress();
  } else if (notice.type === 'step') {
    find('#step').textContent = notice.label;
  } else if (notice.type === 'advance') {
    done += notice.seconds;
    showProgress();
  } else if (notice.type === 'partial') {
    own = notice.report;
    render();
  } else if (notice.type === 'done') {
    own = notice.report;
    const bad = own.results.filter((result) => result.status === 'failed' || result.status === 'disagrees').length;
    const count = own.results.filter(({ time }) => time !== undefined).length;
    const how = own.interrupted ? 'Cancelled' : 'Done';
    finish(`${how}: ${count} measured${bad > 0 ? `, ${bad} failed or wrong` : ''}.`);
    render();
  } else {
    finish(notice.message, true);
  }
}

function finish(message: string, bad = false): void {
  worker?.terminate();
  worker = undefined;
  find('#progress').hidden = true;
  runButton.disabled = false;
  cancelButton.disabled = true;
  say(message, bad);
}

/** Shows the time left: by the pace so far once a tenth is done, by the estimate before. */
function showProgress(): void {
  const share = Math.min(done / total, 1);
  const elapsed = (performance.now() - started) / 1000;
  bar.value = share;
  find('#left').textContent = `· ${formatWait(share > 0.1 ? (elapsed / share) * (1 - share) : total - done)} left`;
}

async function importFiles(files: readonly File[]): Promise<void> {
  const problems: string[] = [];
  for (const file of files) {
    try {
      const reports = parseReports(await file.text(), file.name);
      imported.push(...reports.map((report) => ({ origin: file.name, report })));
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error));
    }
  }
  const count = files.length - problems.length;
  say(
    problems.length > 0 ? problems.join('\n') : `${count} ${count === 1 ? 'file' : 'files'} imported.`,
    problems.length > 0,
  );
  render();
}

function exportReport(): void {
  if (own === undefined) return;
  const engine = own.machine.engine.name.toLowerCase().replace(/\W+/g, '-');
  saveFile(`mamba-bench-${engine}.json`, `${JSON.stringify(own, null, 2)}\n`);
}

function render(): void {
  exportButton.disabled = own === undefined;
  const all = [
    ...(own === undefined ? [] : [{ origin: 'this browser', report: own }]),
    ...(shipped === undefined ? [] : [shipped]),
    ...imported,
  ];
  const { reports, notes } = mergeReports(all);
  // This browser comes first, since the others are compared with it.
  const isOwn = (report: Report): boolean => own !== undefined && machineKey(report) === machineKey(own);
  const ordered = [...reports.filter(isOwn), ...reports.filter((report) => !isOwn(report))];
  find('#results').innerHTML = all.length === 0 ? '' : renderBody({ reports: ordered, notes }, document);
  find('#files').replaceChildren(
    ...imported.map((named) => {
      const item = document.createElement('li');
      const remove = document.createElement('button');
      remove.type = 'button';
      remove.textContent = '×';
      remove.ariaLabel = `Remove ${named.origin}`;
      remove.addEventListener('click', () => {
        imported = imported.filter((other) => other !== named);
        render();
      });
      item.append(`${named.origin}: ${machineName(named.report.machine)} `, remove);
      return item;
    }),
  );
}

function say(message: string, bad = false): void {
  status.textContent = message;
  status.className = bad ? 'bad' : 'quiet';
}

interface Choice {
  readonly name: string;
  readonly label: string;
  readonly tells: string;
  readonly summary: string;
}

function addChoices(parent: Element, name: string, choices: readonly Choice[], checked: ReadonlySet<string>): void {
  for (const choice of choices) {
    const label = document.createElement('label');
    const input = document.createElement('input');
    Object.assign(input, { type: 'checkbox', name, value: choice.name, checked: checked.has(choice.name) });
    label.title = choice.summary;
    const [words, tells] = [document.createElement('span'), document.createElement('small')];
    tells.textContent = choice.tells;
    words.append(choice.label, tells);
    label.append(input, words);
    parent.append(label);
  }
}
