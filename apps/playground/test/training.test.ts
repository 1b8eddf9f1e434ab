import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bytesSource } from '@mamba/checkpoint';
import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';
import { audit, launchChromium, overflow } from '@mamba/software-gpu';
import { binaryTokens, Corpus, evaluateLoss, windowsInOrder } from '@mamba/train';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSite, type Opened, open, pressWhen, type Site } from './browser.ts';

const MODEL = new URL('../../../packages/conformance/fixtures/kjv-mamba/', import.meta.url);
/** The text that the page proposes. */
const TEXT = new URL('../src/training/example.txt', import.meta.url);

/** A bound for what takes a busy machine long. */
const PATIENT = { timeout: 120_000 };

let site: Site;
let browser: Browser;
/** A page that trains on the CPU. The tests go on from each other, as a user does. */
let opened: Opened;
let page: Page;
beforeAll(async () => {
  [site, browser] = await Promise.all([buildSite(), launchChromium()]);
  opened = await openTraining();
  page = opened.page;
  page.setDefaultTimeout(PATIENT.timeout);
  await page.getByRole('radio', { name: 'CPU' }).check();
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

const openTraining = () => open(browser, new URL('train.html', site.address).href);
const button = (name: string, on = page) => on.getByRole('button', { name, exact: true });
const settled = (words: string | RegExp, on = page) => on.getByRole('status').filter({ hasText: words }).waitFor();
const panel = (name: string, on = page) => on.getByRole('region', { name, exact: true });
const facts = (name: string, on = page) => on.getByLabel(name, { exact: true }).locator('dd').allTextContents();
const stepsDone = async (on = page): Promise<number> =>
  Number.parseInt((await facts('Progress of the training', on))[0]!, 10);
/** Waits for the first step of a training. */
const begun = (on = page) => expect.poll(() => stepsDone(on), PATIENT).toBeGreaterThan(0);
const lossWords = (on = page) => panel('As it learns', on).getByRole('img', { name: /^Loss by step/ });
const accuracyWords = () => panel('As it learns').getByRole('img', { name: /^Right answers by length/ });

/** The numbers of the table, the latest row first. */
const table = async (on = page): Promise<readonly (readonly string[])[]> => {
  const rows = panel('As it learns', on).getByRole('row');
  return rows.evaluateAll((found) => found.slice(1).map((row) => [...row.children].map((cell) => cell.textContent)));
};

async function setHeads(
  settings: Readonly<Record<string, string>>,
  lengths: readonly number[],
  on = page,
): Promise<void> {
  for (const length of [8, 16, 32, 64, 128, 256])
    await on.getByRole('checkbox', { name: String(length), exact: true }).setChecked(lengths.includes(length));
  for (const [label, value] of Object.entries(settings))
    await panel('Induction heads', on).getByLabel(label, { exact: true }).fill(value);
}

test('trains in a worker, and pauses between two steps', async () => {
  await setHeads({ Steps: '100', 'Learning rate': '0.008' }, []);
  expect(await button('Start training').getAttribute('aria-disabled')).toBe('true');
  await setHeads({}, [8]);
  await pressWhen(page, 'main', /Step\d\d+ of 100/, 'Pause');
  await button('Start training').click();
  // The button lies below the top of what it starts.
  const top = await page.locator('#heads-results').evaluate((results) => results.getBoundingClientRect().top);
  expect(top).toBeGreaterThanOrEqual(0);
  // The page answers while the worker computes.
  await panel('Fine-tuning').getByLabel('Beginning of the samples').fill('Sunday. Sea');
  await settled('Paused after');
  const paused = await stepsDone();
  expect(paused).toBeGreaterThanOrEqual(10);
  expect(paused).toBeLessThan(100);
  expect(await lossWords().getAttribute('aria-label')).toContain(`Loss by step, of ${paused}:`);
});

describe('fine-tuning, while the other training is paused', () => {
  test('lowers the loss on what is held out', async () => {
    const paused = await stepsDone();
    await panel('Fine-tuning').getByLabel('Steps').fill('6');
    await panel('Fine-tuning').getByLabel('Learning rate').fill('0.01');
    await button('Fine-tune').click();
    await settled(/^Tuned: the held-out loss went from/);
    const [steps, before, after, left] = await facts('Progress of the fine-tuning');
    expect([steps, left]).toEqual(['6 of 6', 'none']);
    // Guessing among the 1024 tokens would be 6.93. Six steps take off 2 nats or more.
    expect(Number(before)).toBeLessThan(6.93);
    expect(Number(after)).toBeLessThan(Number(before) - 1);
    const samples = await page.locator('.sample .written').allTextContents();
    expect(samples).toHaveLength(2);
    expect(samples[0]).not.toBe(samples[1]);
    // Nothing was trained meanwhile.
    expect(await stepsDone()).toBe(paused);
  });

  test('saves the model that writes on the page', async () => {
    const after = (await facts('Progress of the fine-tuning'))[2];
    const [download] = await Promise.all([page.waitForEvent('download'), button('Save the model').click()]);
    expect(download.suggestedFilename()).toBe('model.safetensors');
    const folder = mkdtempSync(join(tmpdir(), 'mamba-tuned-'));
    const backend = await cpu().create();
    try {
      copyFileSync(await download.path(), join(folder, 'model.safetensors'));
      for (const name of ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'generation_config.json'])
        copyFileSync(fileURLToPath(new URL(name, MODEL)), join(folder, name));
      const lm = await loadModel(backend, folder);
      const ids = Uint32Array.from(lm.encode(readFileSync(TEXT, 'utf8')));
      const corpus = Corpus.of([binaryTokens(bytesSource(ids.buffer), 'uint32')]);
      const windows = windowsInOrder(corpus.split(0.2).heldOut, { batch: 4, length: 64 });
      // The page shows three digits, and its build of the backend rounds otherwise.
      expect((await evaluateLoss(lm.model, windows)).loss).toBeCloseTo(Number(after), 2);
      lm.dispose();
    } finally {
      await backend.dispose();
      rmSync(folder, { recursive: true });
    }
    await button('Write').click();
    await settled('The text is written.');
    expect(await page.locator('.sample .written').nth(2).textContent()).not.toBe('');
  });
});

test('goes on after a pause, and learns', async () => {
  await button('Continue').click();
  await settled('Done after 100 steps: ');
  expect(await facts('Progress of the training')).toEqual([
    '100 of 100',
    expect.any(String),
    expect.any(String),
    'none',
  ]);
  await page.getByText('The numbers, as a table').click();
  const rows = await table();
  expect(rows.map(([step]) => step)).toEqual(['100', '80', '60', '40', '20', '0']);
  const [first, last] = [rows.at(-2)!, rows[0]!];
  expect(Number(last[1])).toBeLessThan(Number(first[1]) / 2);
  // More than 90 % of 64 at the length that was trained.
  expect(Number(last[2])).toBeGreaterThan(57);
  expect(await accuracyWords().getAttribute('aria-label')).toBe(
    `Right answers by length after step 100. 8, trained: ${last[2]} of 64; 16: ${last[3]} of 64; 64: ${last[4]} of 64.`,
  );
  expect(await panel('As it learns').locator('.bar').count()).toBe(3);
});

describe.each([
  ['a phone, light', { width: 375, height: 740 }, 'light'],
  ['a desktop, dark', { width: 1280, height: 900 }, 'dark'],
] as const)('on %s', (_, size, colorScheme) => {
  test('fits the width, and axe finds nothing', async () => {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    expect(await overflow(page)).toBe(0);
    expect(await audit(page)).toEqual([]);
  });
});

test('says what to do where the training diverges, and what it says works', async () => {
  await setHeads({ 'Learning rate': '10' }, [8]);
  await button('Start again').click();
  await page.getByRole('alert').waitFor();
  const said = (await page.getByRole('alert').textContent())!;
  expect(said).toMatch(/diverged at step \d+.*Take a lower learning rate/);
  const diverged = Number(said.match(/at step (\d+)/)![1]);
  await setHeads({ 'Learning rate': '0.005' }, [8]);
  await button('Start again').click();
  // The page shows the steps of the training before until the new one has begun.
  await page.getByRole('alert').waitFor({ state: 'detached' });
  await expect.poll(() => stepsDone(), PATIENT).toBeGreaterThan(diverged);
  expect(await page.getByRole('alert').count()).toBe(0);
});

test('frees its workers when the page is left', async () => {
  // One trains, and one has the tuned model.
  expect(page.workers().length).toBe(2);
  await page.getByRole('link', { name: 'Try models' }).first().click();
  await page.getByRole('heading', { name: 'Mamba playground' }).waitFor();
  await page.getByRole('radio', { name: 'CPU' }).and(page.locator(':enabled')).waitFor();
  await expect.poll(() => page.workers().length, PATIENT).toBe(0);
  await page.getByRole('link', { name: 'Train', exact: true }).click();
  await page.getByRole('heading', { name: 'Mamba training' }).waitFor();
  expect(opened.complaints).toEqual([]);
});

test('trains on WebGPU, in captured steps, as it does on the CPU', async () => {
  const { page: other, complaints } = await openTraining();
  other.setDefaultTimeout(PATIENT.timeout);
  await setHeads({ Steps: '8', Batch: '4', 'Learning rate': '0.01' }, [8], other);
  const trainedOn = async (name: string, backend: RegExp) => {
    await other.getByRole('radio', { name }).and(other.locator(':enabled')).check();
    await other.getByRole('button', { name: /^Start (training|again)$/ }).click();
    // The page says that the training before is done until this one has begun.
    await panel('As it learns', other).getByText(backend).waitFor();
    await settled('Done after 8 steps: ', other);
    await other.getByText('The numbers, as a table').click();
    const [, first] = (await lossWords(other).getAttribute('aria-label'))!.match(/of 8: ([\d.]+) at first/)!;
    const [last, before] = (await table(other)).map((row) => row.slice(2).map(Number));
    return { first: Number(first), loss: Number((await facts('Progress of the training', other))[1]), last, before };
  };
  const [gpu, processor] = [await trainedOn('WebGPU', /WebGPU, /), await trainedOn('CPU', /WebAssembly/)];
  // The updates are part of the comparison, since the loss has moved.
  expect(Math.abs(processor.loss - processor.first)).toBeGreaterThan(0.1);
  expect(gpu.first).toBeCloseTo(processor.first, 1);
  expect(gpu.loss).toBeCloseTo(processor.loss, 2);
  expect(gpu.before).toEqual(processor.before);
  // Right answers of 64 at each length: one may hang on the last digit of two logits.
  for (const [index, right] of gpu.last!.entries()) expect(Math.abs(right - processor.last![index]!)).toBeLessThan(2);
  expect(complaints).toEqual([]);
  await other.close();
});

test('says that a backend is gone, and trains on another', async () => {
  const context = await browser.newContext();
  // The GPU is there when the page looks for it, in its first worker, and gone when the training starts.
  let workers = 0;
  await context.route(/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    const gone = "Object.defineProperty(Object.getPrototypeOf(navigator), 'gpu', { value: undefined });";
    await route.fulfill({ response, body: `${workers++ === 0 ? '' : gone}\n${await response.text()}` });
  });
  context.setDefaultTimeout(PATIENT.timeout);
  const other = await context.newPage();
  await other.goto(new URL('train.html', site.address).href);
  await other.getByRole('radio', { name: 'WebGPU' }).and(other.locator(':enabled')).check();
  await button('Start training', other).click();
  await other.getByRole('alert').waitFor();
  expect(await other.getByRole('alert').textContent()).toMatch(
    /WebGPU does not exist here.*Choose another backend under “Train on”, and start again\./,
  );
  await other.getByRole('radio', { name: 'CPU' }).check();
  for (const length of ['16', '32']) await other.getByRole('checkbox', { name: length, exact: true }).uncheck();
  await button('Start training', other).click();
  await begun(other);
  await button('Reset', other).click();
  await settled('The training is reset.', other);
  await expect.poll(() => other.workers().length, PATIENT).toBe(0);
});
