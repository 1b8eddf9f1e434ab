/** The page: what to compare, the curves as they are measured, and links that hold a result. */
import '../page.css';
import './versus.css';
import { machineName } from '../../src/compare/key.ts';
import { messageOf } from '../../src/errors.ts';
import { KNOWN_BACKENDS } from '../../src/machine/backends.ts';
import { css } from '../../src/report/html/style.ts';
import { parseVersus, type VersusReport } from '../../src/schema/versus.ts';
import { GENERATION_SIZES } from '../../src/versus/generation.ts';
import { decodeLink, encodeLink } from '../../src/versus/link.ts';
import type { VersusRequest } from '../../src/versus/request.ts';
import { SYSTEMS } from '../../src/versus/systems.ts';
import { QUICK_RECIPES, RECIPES } from '../../src/versus/tasks/recipes.ts';
import { offerShipped, shippedComparisons } from '../shipped.ts';
import { saveFile } from '../start-worker.ts';
import { showCalculator } from './calculator.ts';
import { Comparison } from './comparison.ts';
import { ResultView } from './result-view.ts';

const find = <T extends Element = HTMLElement>(selector: string): T => document.querySelector<T>(selector)!;
const controls = find<HTMLFormElement>('#controls');
const runButton = find<HTMLButtonElement>('#run');
const stopButton = find<HTMLButtonElement>('#stop');
const shareButton = find<HTMLButtonElement>('#share');
const saveButton = find<HTMLButtonElement>('#save');
const bar = find<HTMLProgressElement>('#bar');
const status = find('#status');

let report: VersusReport | undefined;
let comparison: Comparison | undefined;

const style = document.createElement('style');
style.textContent = css;
document.head.prepend(style);
const view = new ResultView(find('#results'));
const calculate = showCalculator(find('#calculator'), () => report);
fillControls();
addEventListener('hashchange', () => void openLink());
void openLink();

controls.addEventListener('submit', (event) => {
  event.preventDefault();
  start();
});
stopButton.addEventListener('click', () => {
  comparison?.stop();
  if (comparison?.stopping) stopButton.textContent = 'Stop now';
});
shareButton.addEventListener('click', () => void share());
saveButton.addEventListener('click', () => {
  if (report !== undefined) saveFile('mamba-versus.json', `${JSON.stringify(report, null, 1)}\n`);
});
find<HTMLInputElement>('#open').addEventListener('change', async ({ target }) => {
  const input = target as HTMLInputElement;
  const [file] = input.files ?? [];
  if (file === undefined) return;
  try {
    show(parseVersus(await file.text(), file.name), `From ${file.name}`);
    say('');
  } catch (error) {
    say(messageOf(error), true);
  }
  input.value = '';
});

/** The device, or the processor, that a result is of. */
function placeOf({ backends: [backend], machine }: VersusReport): string {
  const { device } = backend?.details ?? {};
  return typeof device === 'string' ? device.replaceAll('-', ' ').toUpperCase() : machineName(machine);
}

const described = (result: VersusReport): string => `${placeOf(result)}, ${result.startedAt.slice(0, 10)}`;
void shippedComparisons().then((all) =>
  offerShipped(find<HTMLSelectElement>('#shipped'), all, described, (chosen) => {
    if (chosen !== undefined && comparison === undefined) show(chosen.report, `From ${chosen.origin}`);
  }),
);

controls.addEventListener('change', ({ target }) => {
  if ((target as HTMLInputElement).name === 'system') hideOthers();
});

/** Ticks the systems of a result from elsewhere, so that none of them is hidden. */
function tick({ systems }: VersusReport): void {
  for (const input of controls.querySelectorAll<HTMLInputElement>('input[name=system]'))
    if (systems.some(({ name }) => name === input.value)) input.checked = true;
  hideOthers();
}

function hideOthers(): void {
  const left = controls.querySelectorAll<HTMLInputElement>('input[name=system]:not(:checked)');
  view.hide(new Set([...left].map(({ value }) => value)));
}

function fillControls(): void {
  for (const { name, label, says } of SYSTEMS.slice(1)) {
    const choice = document.createElement('label');
    const input = document.createElement('input');
    Object.assign(input, { type: 'checkbox', name: 'system', value: name, checked: true });
    choice.title = says;
    choice.append(input, label);
    find('#systems').append(choice);
  }
  for (const { name } of KNOWN_BACKENDS) if (name !== 'reference') find('#backend').append(new Option(name, name));
  if (!('gpu' in navigator)) find<HTMLSelectElement>('#backend').value = 'cpu';
}

/** `?quick` in the page's address takes lengths and models that are done in seconds, as a look at the page. */
function requestOf(): VersusRequest {
  const number = (selector: string): number => Number(find<HTMLSelectElement>(selector).value);
  const systems = [...controls.querySelectorAll<HTMLInputElement>('input[name=system]:checked')];
  const quick = new URLSearchParams(location.search).has('quick');
  const [from, to] = quick ? [4, 6] : [7, number('#length')];
  return {
    systems: ['mamba', ...systems.map(({ value }) => value)],
    dModel: quick ? 16 : number('#width'),
    batch: number('#batch'),
    lengths: Array.from({ length: to - from + 1 }, (_, index) => 2 ** (from + index)),
    seconds: 3,
    ...(find<HTMLInputElement>('#generation').checked && {
      generation: {
        size: quick ? { layers: 2, dModel: 16, vocabSize: 32 } : GENERATION_SIZES.small,
        prompts: [quick ? 8 : 512],
        tokens: quick ? 4 : 64,
        batches: quick ? [1, 2] : [1, 4, 16],
        seconds: 20,
      },
    }),
    ...(find<HTMLInputElement>('#tasks').checked && {
      // The page has no text for a language model.
      tasks: { recipes: (quick ? QUICK_RECIPES : RECIPES).filter(({ task }) => task !== 'language'), seconds: 60 },
    }),
  };
}

function start(): void {
  report = undefined;
  if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search);
  find('#origin').hidden = true;
  find('#progress').hidden = false;
  bar.removeAttribute('value');
  runButton.disabled = true;
  stopButton.disabled = false;
  for (const button of [shareButton, saveButton]) button.disabled = true;
  view.clear();
  calculate();
  say('');
  comparison = new Comparison(find<HTMLSelectElement>('#backend').value, requestOf(), {
    progress(doing, share) {
      find('#doing').textContent = doing;
      if (share !== undefined) bar.value = share;
    },
    partial(soFar) {
      report = soFar;
      view.show(report);
      calculate();
    },
    end(result, failure) {
      finish(result);
      if (failure !== undefined) say(failure, true);
    },
  });
}

function finish(result: VersusReport | undefined): void {
  comparison = undefined;
  find('#progress').hidden = true;
  runButton.disabled = false;
  stopButton.disabled = true;
  stopButton.textContent = 'Stop';
  if (result === undefined) {
    say('Stopped before anything was measured.');
    return;
  }
  show(result);
  const measured = result.points.filter((point) => point.status === 'measured').length;
  const bad =
    result.agreements.filter((agreement) => agreement.status !== 'agrees').length +
    [...result.points, ...(result.tasks ?? [])].filter(({ status }) => status === 'failed' || status === 'disagrees')
      .length;
  const how = result.interrupted ? 'Stopped' : 'Done';
  say(`${how}: ${measured} points measured${bad > 0 ? `, ${bad} failed or wrong` : ''}.`, bad > 0);
}

/** @param origin Where a result came from that was not measured here. */
function show(result: VersusReport, origin?: string): void {
  report = result;
  if (origin !== undefined) tick(result);
  view.show(result);
  calculate();
  for (const button of [shareButton, saveButton]) button.disabled = false;
  const element = find('#origin');
  element.hidden = origin === undefined;
  if (origin === undefined) return;
  element.textContent = `${origin}: measured on ${described(result)}. Compare to measure here.`;
}

async function share(): Promise<void> {
  if (report === undefined) return;
  const fragment = await encodeLink(report);
  history.replaceState(null, '', `#${fragment}`);
  try {
    await navigator.clipboard.writeText(location.href);
    say('The link is copied; it holds the whole result.');
  } catch {
    say('The address of this page now holds the whole result: copy it from the address bar.');
  }
}

async function openLink(): Promise<void> {
  const fragment = location.hash.slice(1);
  if (fragment === '' || comparison !== undefined) return;
  try {
    show(await decodeLink(fragment), 'This came with the link');
    say('');
  } catch (error) {
    say(messageOf(error), true);
  }
}

function say(message: string, bad = false): void {
  status.textContent = message;
  status.className = bad ? 'bad' : 'quiet';
}
