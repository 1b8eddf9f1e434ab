import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { audit, launchChromium, overflow } from '@mamba/software-gpu';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildSite, type Opened, open, pressWhen, type Site } from './browser.ts';

let site: Site;
let browser: Browser;
/** The page, which the tests use from top to bottom, as a reader does. */
let opened: Opened;
let page: Page;
beforeAll(async () => {
  [site, browser] = await Promise.all([buildSite(), launchChromium()]);
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  // Times are not looked at here, so that each measurement may be a short one.
  await context.route(/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `globalThis.mambaBenchSmall = true;\n${await response.text()}` });
  });
  opened = await open(context, `${site.address}showcase.html?quick`);
  page = opened.page;
  page.setDefaultTimeout(PATIENT.timeout);
  await idle();
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

/** A bound for what takes a busy machine long. */
const PATIENT = { timeout: 120_000 };
const poll = <T>(value: () => T) => expect.poll(value, PATIENT);

const button = (name: string, on = page) => on.getByRole('button', { name, exact: true });
const story = (on = page) => on.getByRole('log');
const idle = (on = page) => on.locator('.story[aria-busy=false] .written').waitFor();
const scene = (name: string) => page.getByRole('region', { name, exact: true });

test('writes as it opens, begins with a text of the reader, and goes on', async () => {
  expect(await story().textContent()).toMatch(/^In the beginning.{200}/s);
  // Nothing else has started yet.
  expect(page.workers().length).toBe(1);
  expect(await page.getByLabel('The writing').textContent()).toMatch(/[\d.]+ s.*[\d,.]+ tokens\/s.*175 kB/);
  await page.getByLabel('A beginning of your own').fill('And Ruth said');
  await pressWhen(page, '.story', /And Ruth said.{20}/s, 'Stop');
  await button('Write').click();
  await story().getByText('And Ruth said').waitFor();
  await idle();
  const before = (await story().textContent())!;
  expect(before).toMatch(/^And Ruth said/);
  await button('Go on').click();
  await poll(async () => (await story().textContent())!.length).toBeGreaterThan(before.length);
  await idle();
  expect((await story().textContent())!.startsWith(before)).toBe(true);
});

test('shows the state beside a cache that grows, and stops reading', async () => {
  const memory = scene('All that it remembers has one size');
  const words = async () => (await memory.locator('.sizes').textContent())!;
  const cache = async () => Number(/the cache is ([\d,.]+) times/.exec(await words())?.[1]?.replace(',', ''));
  const before = await cache();
  expect(before).toBeGreaterThan(1);
  expect(await words()).toMatch(/Mamba’s state175 kB measured.*cache[\d.]+ MB computed/);
  await pressWhen(page, '#memory', /the cache is \d{3} times/, 'Stop');
  await button('Read 10,000 tokens more').click();
  await memory.getByRole('button', { name: 'Stop' }).waitFor();
  await button('Read 10,000 tokens more').waitFor();
  // What was read in vain is not kept.
  expect(await cache()).toBe(before);
});

test('shades a passage when it comes into view, and arrow keys go through it', async () => {
  const selection = scene('It chooses what to let in');
  await selection.scrollIntoViewIfNeeded();
  await selection.locator('.token').first().waitFor();
  await poll(() => button('Another ending').getAttribute('aria-disabled')).toBe('false');
  await selection.locator('.token').getByText(' spake').hover();
  await poll(() => selection.locator('output').textContent()).toMatch(/^“␣spake”: Δ .* in layers 1 to 6$/);
  await selection.getByRole('group').focus();
  await page.keyboard.press('ArrowRight');
  await poll(() => selection.locator('output').textContent()).toMatch(/^“␣unto”/);
  await selection.getByLabel('Layer').selectOption({ label: '2' });
  await poll(() => selection.locator('output').textContent()).toMatch(/^“␣unto”, layer 2/);
});

test('writes two endings from one state, and says what the fork took', async () => {
  await button('Write two endings').click();
  const endings = page.getByRole('region', { name: /^Ending of ending/ });
  await poll(() => endings.count()).toBe(2);
  await button('Write two endings').waitFor();
  const [first, second] = await endings.locator('p').allTextContents();
  expect(first).not.toBe(second);
  expect(await page.getByLabel('What the fork took').textContent()).toMatch(
    /176 kBmeasured.*[\d.]+ msmeasured.*A Transformer’s cache of 47 tokens/s,
  );
});

test('stops by Esc, wherever the reader is', async () => {
  await page.getByLabel('A beginning of your own').fill('And Esther said');
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      if (!/And Esther said.{20}/s.test(document.querySelector('.story')!.textContent)) return;
      observer.disconnect();
      dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape' }));
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await button('Write').click();
  await story().getByText('And Esther said').waitFor();
  await idle();
  // A text that is not stopped has some 800 characters.
  expect((await story().textContent())!.length).toBeLessThan(400);
});

describe('the measurement', () => {
  const race = () => scene('The last token takes as long as the first');

  test('stops midway', async () => {
    await pressWhen(page, '#race', /Mamba on cpu: step/, 'Stop');
    await button('Measure').click();
    await race().getByText('Stopped before there was something to compare.').waitFor();
  });

  test('draws both, and says what came out', async () => {
    await race().getByRole('button', { name: 'Measure' }).click();
    await race()
      .getByText(/^After 64 tokens, attention takes [\d.]+ times as long/)
      .waitFor();
    await poll(() => race().locator('.plots svg').count()).toBe(2);
    for (const system of ['mamba', 'attention'])
      expect(await race().locator(`.plots .curve-${system}`).count()).toBeGreaterThan(0);
    await button('Measure again').waitFor();
  });
});

test('trains when it is asked to, and pauses', async () => {
  await pressWhen(page, '#training', /Step([3-9]|\d\d+) of 200/, 'Pause');
  await button('Start training').click();
  await scene('Watch one learn, from nothing').getByText('Paused after').waitFor();
  const [step] = await page.getByLabel('Progress of the training', { exact: true }).locator('dd').allTextContents();
  expect(Number.parseInt(step!, 10)).toBeLessThan(200);
  await button('Continue').waitFor();
});

test.each([
  ['a phone, light', { width: 390, height: 844 }, 'light'],
  ['a desktop, dark', { width: 1280, height: 800 }, 'dark'],
] as const)('fits %s, and axe finds nothing', async (_, size, colorScheme) => {
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme });
  expect(await overflow(page)).toBe(0);
  expect(await audit(page)).toEqual([]);
  expect(opened.complaints).toEqual([]);
});

test('says what to do where the weights are missing, and tries again', async () => {
  const context = await browser.newContext();
  const weights = '**/model.safetensors';
  await context.route(weights, (route) => route.fulfill({ status: 404 }));
  const { page: other } = await open(context, `${site.address}showcase.html`);
  await story(other).getByRole('alert').waitFor();
  expect(await story(other).textContent()).toMatch(/“models\/kjv-mamba” has to lie beside this page.*try again/);
  expect(await audit(other)).toEqual([]);
  await context.unroute(weights);
  // A wait for weights that do not come can be stopped, and the load goes on for who asks next.
  let letThrough = (): void => {};
  const allowed = new Promise<void>((resolve) => {
    letThrough = resolve;
  });
  await context.route(weights, async (route) => {
    await allowed;
    await route.continue();
  });
  await button('Try again', other).click();
  await button('Stop', other).click();
  await button('Write', other).click();
  await button('Stop', other).waitFor();
  letThrough();
  await idle(other);
  expect(await other.getByRole('alert').count()).toBe(0);
  await context.close();
});

test.each(['showcase.html', 'index.html', 'train.html'])(
  '%s says what to do where it is opened as a file',
  async (name) => {
    const context = await browser.newContext();
    const file = await context.newPage();
    await file.goto(pathToFileURL(join(site.folder, name)).href);
    await file.getByRole('heading', { name: 'This page has to come from a server' }).waitFor();
    expect(await file.getByRole('alert').textContent()).toContain('python3 -m http.server');
    await context.close();
  },
);
