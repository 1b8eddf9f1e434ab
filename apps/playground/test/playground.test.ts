import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';
import { audit, COMPILE_LAZILY, launchChromium, overflow } from '@mamba/software-gpu';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { buildSite, type Opened, open, type Site } from './browser.ts';

const MODEL = new URL('../../../packages/conformance/fixtures/kjv-mamba/', import.meta.url);

let site: Site;
let browser: Browser;
beforeAll(async () => {
  [site, browser] = await Promise.all([buildSite(), launchChromium()]);
});
/** A page that has the shipped model on the CPU, for the tests that need no page of their own. */
let shared: Opened | undefined;
afterAll(async () => {
  await browser?.close();
  await site?.close();
});

const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const transcript = (page: Page) => page.getByRole('log');
// What the pointer tells of a token is a status as well.
const status = (page: Page) => page.locator('.statusbar [role=status]');
const readSoFar = (page: Page) => page.locator('dl.live dd').first();
const written = async (page: Page) => (await page.locator('.transcript .written').allTextContents()).join('');
const settled = (page: Page, words: string) => status(page).filter({ hasText: words }).waitFor();

/** Contexts that the tests to come need as well. */
const kept = new Set<BrowserContext>();
afterEach(async () => {
  for (const context of browser.contexts()) if (!kept.has(context)) await context.close();
});

/** Waits for a frame. The page shows changes once a frame, so earlier changes are visible afterwards. */
const drawn = (page: Page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(done)));

async function loaded(where: Browser | BrowserContext = browser, options?: BrowserContextOptions): Promise<Opened> {
  const opened = await open(where, site.address, options);
  const { page } = opened;
  await page.getByRole('radio', { name: 'CPU' }).check();
  await button(page, 'Load model').click();
  await settled(page, 'is loaded, on');
  return opened;
}

/** The shared page with a new branch. */
async function fresh(): Promise<Opened> {
  if (shared === undefined) {
    shared = await loaded();
    kept.add(shared.page.context());
  }
  await button(shared.page, 'New').click();
  await settled(shared.page, 'new and empty');
  return shared;
}

async function generate(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await button(page, 'Generate').click();
  await drawn(page);
  await settled(page, 'written:');
}

/** Has the page's worker run a script before its own. */
async function inWorker(context: BrowserContext, script: string): Promise<void> {
  await context.route(/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: `${script}\n${await response.text()}` });
  });
}

test('loads the shipped model on the CPU and writes what Node does', async () => {
  const backend = await cpu().create();
  const lm = await loadModel(backend, MODEL);
  let expected = '';
  for await (const { text } of lm.generate({ prompt: 'And God said', maxTokens: 24 })) expected += text;

  const { page, complaints } = await fresh();
  await generate(page, { 'Add text': 'And God said', Tokens: '24', Temperature: '0' });
  expect(await transcript(page).textContent()).toBe(`And God said${expected}`);
  expect(await written(page)).toBe(expected);
  expect(await readSoFar(page).textContent()).toBe(`${lm.encode('And God said').length + 24} tokens`);
  expect(await page.locator('dl.live').textContent()).toMatch(/State, at any length\d+ kB.*Speed[\d.]+ tokens\/s/);
  expect(await status(page).textContent()).toBe('24 tokens written: that many were asked for.');
  expect(complaints).toEqual([]);
  lm.dispose();
  await backend.dispose();
});

test('samples the same text for the same seed, and another for another', async () => {
  const texts: string[] = [];
  for (const seed of ['5', '5', '6']) {
    const { page } = await fresh();
    await generate(page, { 'Add text': 'And', Tokens: '16', Temperature: '1', Seed: seed });
    texts.push(await written(page));
  }
  expect(texts[0]).not.toBe('');
  expect(texts[1]).toBe(texts[0]);
  expect(texts[2]).not.toBe(texts[0]);
  expect(shared?.complaints).toEqual([]);
});

test('streams, stays responsive, and stops', async () => {
  const { page, complaints } = await fresh();
  await page.getByLabel('Tokens', { exact: true }).fill('100000');
  await button(page, 'Generate').click();
  await page.locator('.transcript .written').first().waitFor();
  // The page answers while the worker computes.
  await page.getByLabel('Add text').fill('typed meanwhile');
  expect(await transcript(page).getAttribute('aria-busy')).toBe('true');
  await button(page, 'Stop').click();
  await settled(page, 'written: stopped');
  expect(await page.getByLabel('Add text').inputValue()).toBe('typed meanwhile');
  const text = await transcript(page).textContent();
  await generate(page, { 'Add text': '', Tokens: '4' });
  expect((await transcript(page).textContent())!.startsWith(text!)).toBe(true);
  expect(complaints).toEqual([]);
});

test('reads a long text with its progress in view, and Escape ends it from anywhere', async () => {
  const { page, complaints } = await fresh();
  const viewport = page.viewportSize()!;
  await page.getByLabel('Add text').fill('In the beginning God created the heaven and the earth. '.repeat(8000));
  await button(page, 'Only read').click();
  const bar = page.getByRole('progressbar', { name: 'Tokens read' });
  await expect.poll(() => bar.getAttribute('value').then(Number), { timeout: 60_000 }).toBeGreaterThan(0);
  expect(await readSoFar(page).textContent()).not.toBe('0 tokens');
  expect(await page.locator('.composer').textContent()).toMatch(/[\d,]+ of [\d,]+ tokens read · [\d,.]+ tokens\/s/);
  expect(await page.locator('dl.live').textContent()).toContain('State, at any length175 kB');
  for (const size of [
    { width: 1280, height: 800 },
    { width: 390, height: 844 },
  ]) {
    await page.setViewportSize(size);
    for (const place of [0, 100_000]) {
      await page.evaluate((top) => scrollTo(0, top), place);
      const box = (await button(page, 'Stop').boundingBox())!;
      expect(box.y >= 0 && box.y + box.height <= size.height && box.x + box.width <= size.width).toBe(true);
    }
  }
  await page.setViewportSize(viewport);
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.keyboard.press('Escape');
  await settled(page, 'Cancelled.');
  expect(await readSoFar(page).textContent()).toBe('0 tokens');
  await page.getByLabel('Add text').fill('');
  expect(complaints).toEqual([]);
});

test('writes two endings from one saved state, and draws its curves', async () => {
  const { page, complaints } = await fresh();
  const count = await page.locator('[name=branch]').count();
  await generate(page, { 'Add text': 'And God said', Temperature: '0.8', Tokens: '20', Seed: '1' });
  const before = await transcript(page).textContent();
  await button(page, 'Write two endings').click();
  await settled(page, 'in two endings from one file of');
  expect(await page.locator('[name=branch]').count()).toBe(count + 2);
  const endings = page.getByRole('region', { name: /^Ending of branch/ });
  const [first, second] = await endings.locator('p').allTextContents();
  expect(first).not.toBe(second);
  // The first of them is shown, and it is the text from before with its ending.
  const whole = (await transcript(page).textContent())!;
  expect(whole.startsWith(before!) && whole.endsWith(first!)).toBe(true);
  const memory = await page.getByRole('img', { name: /^The state has/ }).textContent();
  expect(memory).toMatch(/The state has \d+ kB at any length; a Transformer's cache would have [\d.]+ kB/);
  expect(complaints).toEqual([]);
});

test('shades the text, and tells of the token under the pointer', async () => {
  const { page, complaints } = await fresh();
  await button(page, 'Show the selection').click();
  await page.getByRole('img', { name: /^Heat map of delta/ }).waitFor();
  await settled(page, 'written:');
  await page.locator('.transcript .token').getByText(' spake').hover();
  await expect.poll(() => page.locator('.readout output').textContent()).toMatch(/^“␣spake”: Δ .* in layers 1 to 6$/);
  const fills = await page
    .locator('.transcript .token')
    .evaluateAll((tokens) => new Set(tokens.map((token) => (token as HTMLElement).style.background)).size);
  expect(fills).toBeGreaterThan(10);
  await transcript(page).focus();
  await page.keyboard.press('ArrowRight');
  await expect.poll(() => page.locator('.readout output').textContent()).toMatch(/^“␣unto”/);
  await button(page, 'Fork').click();
  await settled(page, 'Forked');
  await page.locator('.transcript .token').getByText(' spake').waitFor();
  expect(complaints).toEqual([]);
});

test('opens a link with its text and settings, and makes the same link of them', async () => {
  const link = `${site.address}#prompt=And+Moses&temperature=0&seed=7`;
  const { page, complaints } = await open(browser, link);
  await page.getByRole('radio', { name: 'CPU' }).check();
  await button(page, 'Load model').click();
  await settled(page, 'is loaded, on');
  expect(await page.getByLabel('Add text').inputValue()).toBe('And Moses');
  expect(await page.getByLabel('Temperature', { exact: true }).inputValue()).toBe('0');
  await button(page, 'Copy a link to this').click();
  await settled(page, 'The link is');
  expect(page.url()).toBe(link);
  expect(complaints).toEqual([]);
});

test('forks, marks and rewinds: a branch goes its own way, and a mark leads to the same text', async () => {
  const { page, complaints } = await fresh();
  const branches = page.locator('[name=branch]');
  const own = (await branches.count()) - 1;
  const greedy = { Temperature: '0', Tokens: '12' };
  await page.getByLabel('Add text').fill('In the beginning');
  await button(page, 'Only read').click();
  await settled(page, 'The text is read');
  const beginning = await readSoFar(page).textContent();
  expect(await page.locator('.composer').textContent()).toContain(`${beginning} read`);
  await button(page, 'Mark').click();
  await settled(page, 'Marked at');
  await button(page, 'Fork').click();
  await settled(page, 'Forked');
  await generate(page, { ...greedy, 'Add text': ' Moses' });
  const other = await transcript(page).textContent();
  // The mark went along with the fork, and the branch that it was made in keeps its own.
  await button(page, 'Fork').click();
  await settled(page, 'Forked');
  await button(page, `Rewind to ${beginning} … In the beginning`).click();
  await settled(page, 'Rewound');
  expect(await transcript(page).textContent()).toBe('In the beginning');
  await button(page, `Remove the mark at ${beginning}`).click();
  await settled(page, 'The mark is removed');
  await button(page, 'Close').click();
  await settled(page, 'is closed');

  await branches.nth(own).check();
  await drawn(page);
  expect(await transcript(page).textContent()).toBe('In the beginning');
  await generate(page, { ...greedy, 'Add text': '' });
  const first = await transcript(page).textContent();
  expect(first).not.toBe(other);
  await button(page, `Rewind to ${beginning} … In the beginning`).click();
  await settled(page, 'Rewound');
  expect(await transcript(page).textContent()).toBe('In the beginning');
  expect(await readSoFar(page).textContent()).toBe(beginning);
  await generate(page, greedy);
  expect(await transcript(page).textContent()).toBe(first);

  await button(page, `Remove the mark at ${beginning}`).click();
  await settled(page, 'The mark is removed');
  await button(page, 'Close').click();
  await settled(page, 'is closed');
  expect(await transcript(page).textContent()).toBe(other);
  expect(complaints).toEqual([]);
});

test('saves a session and opens it in another page, where it goes on alike; refuses what is none', async () => {
  const [from, to] = [await fresh(), await loaded()];
  await generate(from.page, { 'Add text': 'And God said', Temperature: '0', Tokens: '8' });
  const [download] = await Promise.all([from.page.waitForEvent('download'), button(from.page, 'Save').click()]);
  expect(download.suggestedFilename()).toMatch(/^\d+-tokens\.mamba-session$/);
  const buffer = readFileSync(await download.path());

  const input = to.page.getByLabel('Open …');
  await input.setInputFiles({ name: 'a.mamba-session', mimeType: '', buffer });
  await settled(to.page, 'Opened a.mamba-session as branch 2');
  expect(await to.page.getByRole('radio', { name: /^Branch 2: a\.mamba-session/ }).isChecked()).toBe(true);
  const text = await transcript(from.page).textContent();
  expect(await transcript(to.page).textContent()).toBe(text);
  for (const { page } of [from, to]) await generate(page, { Temperature: '0', Tokens: '8', 'Add text': '' });
  expect(await transcript(to.page).textContent()).toBe(await transcript(from.page).textContent());

  buffer[buffer.length - 1]! ^= 1;
  await input.setInputFiles({ name: 'b.mamba-session', mimeType: '', buffer });
  expect(await to.page.getByRole('alert').textContent()).toContain('checksum');
  await button(to.page, 'Dismiss').click();
  await generate(to.page, { Tokens: '2' });
  expect([...from.complaints, ...to.complaints]).toEqual([]);
});

test('loads files that the user chooses, and says what is wrong with those that are no model', async () => {
  const { page, complaints } = await open(browser, site.address);
  const files = ['config.json', 'model.safetensors', 'tokenizer.json'];
  const paths = files.map((file) => fileURLToPath(new URL(file, MODEL)));
  await page.getByRole('radio', { name: 'CPU' }).check();
  await page.getByRole('radio', { name: 'Files' }).check();
  await page.getByLabel('or its files').setInputFiles(paths.slice(1));
  await button(page, 'Load model').click();
  expect(await page.getByRole('alert').textContent()).toContain('config.json');
  await page.getByLabel('or its files').setInputFiles(paths);
  await button(page, 'Load model').click();
  await settled(page, 'is loaded, on');
  await generate(page, { 'Add text': 'And God said', Tokens: '4' });
  // The view of delta reads the files once more.
  await page.getByRole('img', { name: /^Heat map of delta/ }).waitFor();
  await page.getByRole('radio', { name: 'Address' }).check();
  await page.getByLabel('Address of the model').fill(`${site.address}models/none/`);
  await button(page, 'Load model').click();
  expect(await page.getByRole('alert').textContent()).toContain('config.json');
  // The model that was loaded before still works.
  await generate(page, { Tokens: '4' });
  expect(complaints.filter((complaint) => !complaint.includes('404'))).toEqual([]);
});

test('loads from the Hugging Face hub, with a progress, keeps it, and loads it again without the network', async () => {
  const { page, complaints } = await open(browser, site.address);
  const files = [
    'config.json',
    'generation_config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ];
  const contents = new Map(files.map((name) => [name, readFileSync(new URL(name, MODEL))]));
  const commit = '1'.repeat(40);
  const requests: string[] = [];
  await page.context().route('https://huggingface.co/**', async (route) => {
    const { pathname } = new URL(route.request().url());
    requests.push(pathname);
    const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': '*' };
    const [, name] = pathname.split(`/owner/kjv/resolve/${commit}/`);
    const content = name === undefined ? undefined : contents.get(name);
    if (pathname.includes('/revision/')) return route.fulfill({ headers, json: { id: 'owner/kjv', sha: commit } });
    if (pathname.includes('/tree/')) {
      const json = [...contents].map(([path, bytes]) => {
        const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
        return { type: 'file', path, size: bytes.length, oid };
      });
      return route.fulfill({ headers, json });
    }
    if (content === undefined) return route.fulfill({ status: 404, headers, json: { error: 'none' } });
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(route.request().headers().range ?? 'bytes=0-')!;
    const body = content.subarray(Number(from), to ? Number(to) + 1 : undefined);
    const range = `bytes ${from}-${Number(from) + body.length - 1}/${content.length}`;
    await route.fulfill({ status: 206, headers: { ...headers, 'content-range': range, etag: '"x"' }, body });
  });
  await page.getByRole('radio', { name: 'CPU' }).check();
  await page.getByRole('radio', { name: 'Hub' }).check();
  await page.getByLabel('Repository').fill('nothing');
  await button(page, 'Load model').click();
  expect(await page.getByRole('alert').textContent()).toContain('owner/name');
  await page.getByLabel('Repository').fill('owner/kjv');
  await page.evaluate(() => {
    const seen = new Set<string | null>();
    const look = (): void => {
      for (const bar of document.querySelectorAll('progress')) seen.add(bar.getAttribute('aria-label'));
    };
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true });
    Object.assign(window, { seen });
  });
  await page.getByText('Weights: float32').click();
  await page.getByRole('combobox', { name: 'Weights' }).selectOption('stored');
  await page.getByText('Weights: as in the file').waitFor();
  await button(page, 'Load model').click();
  await settled(page, 'owner/kjv is loaded, on');
  const bars = await page.evaluate(() => [...(window as unknown as { seen: Set<string> }).seen]);
  expect(bars).toContain('Downloading model.safetensors');
  await generate(page, { 'Add text': 'And God said', Temperature: '0', Tokens: '6' });
  const text = await transcript(page).textContent();
  expect(requests.some((path) => path.endsWith('model.safetensors'))).toBe(true);
  await button(page, 'Fork').click();
  await settled(page, 'Forked');
  await page.locator('[name=branch]').first().check();
  await generate(page, { 'Add text': '', Temperature: '0', Tokens: '3' });
  await page.locator('[name=branch]').nth(1).check();
  await button(page, 'Mark').click();
  await settled(page, 'Marked at');

  await page.context().unroute('https://huggingface.co/**');
  await page.context().route('https://huggingface.co/**', (route) => route.abort());
  await page.reload();
  await page.getByRole('radio', { name: 'CPU' }).check();
  await page.getByRole('radio', { name: 'Hub' }).check();
  await page.getByLabel('Repository').fill('https://huggingface.co/owner/kjv/tree/main');
  await button(page, 'Load model').click();
  await settled(page, '2 branches of your last visit came back.');
  expect(await transcript(page).textContent()).toBe(text);
  const other = page.locator('[name=branch]').first();
  await other.check();
  await drawn(page);
  expect((await transcript(page).textContent())!.startsWith(text!)).toBe(true);
  expect(await transcript(page).textContent()).not.toBe(text);
  await button(page, 'New').click();
  await settled(page, 'new and empty');
  await generate(page, { 'Add text': 'And God said', Temperature: '0', Tokens: '6' });
  expect(await transcript(page).textContent()).toBe(text);
  expect(complaints.filter((complaint) => !/net::ERR_FAILED/.test(complaint))).toEqual([]);
});

test('loads a folder, whose own folders are not the model, and ends a tokenizer that does not end', async () => {
  const { page, complaints } = await open(browser, site.address);
  const folder = mkdtempSync(join(tmpdir(), 'mamba-folder-'));
  try {
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'config.json'), '{}');
    for (const name of ['config.json', 'model.safetensors'])
      copyFileSync(fileURLToPath(new URL(name, MODEL)), join(folder, name));
    const tokenizer = JSON.parse(readFileSync(new URL('tokenizer.json', MODEL), 'utf8')) as object;
    const pattern = { type: 'Split', pattern: { Regex: '(a+)+$' }, behavior: 'Isolated', invert: false };
    writeFileSync(join(folder, 'tokenizer.json'), JSON.stringify({ ...tokenizer, pre_tokenizer: pattern }));
    await page.getByRole('radio', { name: 'CPU' }).check();
    await page.getByRole('radio', { name: 'Files' }).check();
    await page.getByLabel('A folder').setInputFiles(folder);
    await button(page, 'Load model').click();
    await settled(page, 'is loaded, on');

    await page.getByLabel('Add text').fill(`${'a'.repeat(60)}!`);
    await button(page, 'Generate').click();
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toMatch(
      /tokenizer\.json cannot be used: got no end after \d+ ms/,
    );
    // The page's advice works: loading again.
    await page.getByRole('radio', { name: 'Shipped' }).check();
    await button(page, 'Load model').click();
    await settled(page, 'is loaded, on');
    await generate(page, { 'Add text': 'And God said', Tokens: '2' });
  } finally {
    rmSync(folder, { recursive: true });
  }
  expect(complaints).toEqual([]);
});

test('stops in the middle of a long text, which is not lost', async () => {
  const { page, complaints } = await fresh();
  const text = 'In the beginning God created the heaven and the earth. '.repeat(4000);
  await page.getByLabel('Add text').fill(text);
  await button(page, 'Only read').click();
  await transcript(page).getByText('Reading …').waitFor();
  await button(page, 'Stop').click();
  await settled(page, 'Cancelled.');
  expect(await readSoFar(page).textContent()).toBe('0 tokens');
  expect(await page.getByLabel('Add text').inputValue()).toBe(text);
  await generate(page, { 'Add text': 'And', Tokens: '2' });
  expect(complaints).toEqual([]);
});

test('says so where the worker does not come', async () => {
  const context = await browser.newContext();
  await context.route(/worker-[^/]*\.js$/, (route) => route.abort());
  const page = await context.newPage();
  await page.goto(site.address);
  const note = page.getByRole('alert');
  expect(await note.textContent()).toContain('cannot be loaded. Check the connection');
  // All of it is in view, with nothing over it.
  const edge = async () => {
    const [box, bar] = await Promise.all([note.boundingBox(), page.locator('.statusbar').boundingBox()]);
    return bar!.y - (box!.y + box!.height);
  };
  await expect.poll(edge).toBeGreaterThanOrEqual(0);
  expect(await page.locator('#backend-cpu').textContent()).toBe('not known');
});

test('keeps weights in 4 bits on WebGPU', async () => {
  const context = await browser.newContext();
  await inWorker(context, COMPILE_LAZILY);
  const page = await context.newPage();
  await page.goto(site.address);
  await page.getByRole('radio', { name: 'WebGPU' }).and(page.locator(':enabled')).check();
  await page.getByText('Weights: float32').click();
  await page.getByRole('combobox', { name: 'Weights' }).selectOption('q4');
  await button(page, 'Load model').click();
  await settled(page, 'is loaded, on WebGPU');
});

test('shows delta as a heat map that can be read without seeing it', async () => {
  const { page, complaints } = await fresh();
  await generate(page, { 'Add text': 'And God said, Let there be light', Temperature: '0', Tokens: '6' });
  const map = page.getByRole('img', { name: /^Heat map of delta/ });
  await map.waitFor();
  const tokens = Number.parseInt((await readSoFar(page).textContent())!, 10);
  // The look of the whole text comes after those that were taken while it was written.
  await expect
    .poll(() => map.getAttribute('aria-label'), { timeout: 60_000 })
    .toContain(`${tokens} tokens in 6 layers. Let in most: “`);
  const description = await map.getAttribute('aria-label');
  // The map is drawn in more than one colour.
  const colours = await map.evaluate((canvas: HTMLCanvasElement) => {
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  expect(colours).toBeGreaterThan(20);

  // The image has its title, its tokens and its legend as well.
  const [image] = await Promise.all([page.waitForEvent('download'), button(page, 'Save the map as an image').click()]);
  expect(image.suggestedFilename()).toBe(`selection-of-${tokens}-tokens.png`);
  const png = readFileSync(await image.path());
  const box = (await map.boundingBox())!;
  // A PNG begins with its signature, and then has its width and height in pixels, here two for each of CSS.
  expect(png.subarray(1, 4).toString()).toBe('PNG');
  expect(png.readUInt32BE(20)).toBeGreaterThan(2 * (box.height + 60));

  const slider = page.getByRole('slider');
  await slider.focus();
  await page.keyboard.press('Home');
  await drawn(page);
  expect(await slider.getAttribute('aria-valuetext')).toBe('1, “And”');
  await page.keyboard.press('ArrowRight');
  await drawn(page);
  expect(await slider.getAttribute('aria-valuetext')).toMatch(/^2, “␣God/);
  await page.getByRole('combobox', { name: /^Layer/ }).selectOption('3');
  await drawn(page);
  const readout = await page.locator('.readout output').textContent();
  expect(readout).toMatch(/^“␣God.*, layer 3: Δ 0\.\d+$/);
  await page.getByText('The numbers, as a table').click();
  const table = page.getByRole('table');
  await table.waitFor();
  expect(await table.getByRole('row').count()).toBe(tokens + 1);
  expect(await table.getByRole('row').nth(2).getByRole('cell').nth(2).textContent()).toBe(readout!.split('Δ ')[1]);

  await page.getByLabel('Watch').uncheck();
  await map.waitFor({ state: 'detached' });
  await page.getByLabel('Watch').check();
  await map.waitFor();
  expect(await map.getAttribute('aria-label')).toBe(description);
  expect(complaints).toEqual([]);
});

test('is done by keyboard alone', async () => {
  const { page, complaints } = await open(browser, site.address);
  const name = () =>
    page.evaluate(
      () =>
        (document.activeElement as HTMLInputElement).labels?.[0]?.textContent ?? document.activeElement?.textContent,
    );
  const tab = async (expected: RegExp): Promise<void> => {
    await page.keyboard.press('Tab');
    expect(await name()).toMatch(expected);
  };
  await page.getByRole('radio', { name: 'CPU' }).and(page.locator(':enabled')).waitFor();
  await tab(/^See it/);
  await tab(/^Try models/);
  await tab(/^Train/);
  await tab(/^Shipped/);
  // The GPU is one in software here, so the page proposes the CPU.
  await tab(/^CPU/);
  await page.keyboard.press('ArrowUp');
  expect(await name()).toMatch(/^WebGPU/);
  await page.keyboard.press('ArrowDown');
  expect(await name()).toMatch(/^CPU/);
  await tab(/^Weights/);
  await tab(/^Load model/);
  await page.keyboard.press('Enter');
  await settled(page, 'is loaded, on');
  await tab(/^Copy a link/);
  await tab(/^Branch 1/);
  for (const tool of [/^Mark/, /^Fork/, /^Save/, /^Open/, /^New/, /^Close/]) await tab(tool);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.getAttribute('role'))).toBe('log');
  await tab(/^Add text/);
  await page.keyboard.press('Control+A');
  await page.keyboard.type('And God said');
  await page.keyboard.press('Control+Enter');
  await page.locator('.transcript .written').first().waitFor();
  await page.keyboard.press('Escape');
  await settled(page, 'written:');
  // The focus stays where it is, also on a button that is blocked for a while.
  expect(await name()).toMatch(/^Add text/);
  for (let back = 0; back < 6; back++) await page.keyboard.press('Shift+Tab');
  expect(await name()).toBe('Fork');
  await page.keyboard.press('Enter');
  await settled(page, 'Forked');
  expect(await name()).toBe('Fork');
  expect(complaints).toEqual([]);
});

test('says why a backend is not available, and runs on the other', async () => {
  const context = await browser.newContext();
  // The workers of a browser without WebGPU have no navigator.gpu.
  await context.route(/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    const without = "Object.defineProperty(Object.getPrototypeOf(navigator), 'gpu', { value: undefined });";
    await route.fulfill({ response, body: `${without}\n${await response.text()}` });
  });
  await context.addInitScript("Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 });");
  const page = await context.newPage();
  await page.goto(site.address);
  await page.getByText('Not available: ').waitFor();
  expect(await page.locator('#backend-webgpu').textContent()).toContain('WebGPU');
  expect(await page.getByRole('radio', { name: 'WebGPU' }).isDisabled()).toBe(true);
  expect(await page.getByRole('radio', { name: 'CPU' }).isChecked()).toBe(true);
  await page.getByText('The CPU has one thread here: the browser tells of 2 processors').waitFor();
});

test('says so where no backend is available', async () => {
  const context = await browser.newContext();
  await inWorker(
    context,
    `globalThis.WebAssembly = undefined;
    Object.defineProperty(Object.getPrototypeOf(navigator), 'gpu', { value: undefined });`,
  );
  const page = await context.newPage();
  await page.goto(site.address);
  await page.getByRole('alert').filter({ hasText: 'No model runs in this browser' }).waitFor();
  expect(await page.locator('#backend-cpu').textContent()).toContain('needs WebAssembly');
  expect(await page.locator('#backend-webgpu').textContent()).not.toContain('Dawn');
});

// The tests share a page, since a GPU in software takes long to load a model.
describe('on WebGPU, after the CPU', () => {
  const fields = { 'Add text': 'And God said', Temperature: '0', Tokens: '6' };
  let opened: Opened;
  let ofCpu: string | null;
  beforeAll(async () => {
    const context = await browser.newContext();
    kept.add(context);
    // A message takes the GPU away. A model that is loaded after that compiles lazily.
    await inWorker(
      context,
      `{
        const { requestDevice } = GPUAdapter.prototype;
        const channel = new BroadcastChannel('lose');
        GPUAdapter.prototype.requestDevice = async function (...options) {
          const device = await requestDevice.apply(this, options);
          channel.addEventListener('message', () => {
            device.destroy();
            ${COMPILE_LAZILY}
          });
          return device;
        };
      }`,
    );
    context.setDefaultTimeout(120_000);
    opened = await loaded(context);
    const { page } = opened;
    await generate(page, fields);
    ofCpu = await transcript(page).textContent();
    await page.getByRole('radio', { name: 'WebGPU' }).check();
    await button(page, 'Load model').click();
    await settled(page, 'is loaded, on WebGPU');
  });

  test('writes what it writes on the CPU', async () => {
    const { page, complaints } = opened;
    await generate(page, fields);
    expect(await transcript(page).textContent()).toBe(ofCpu);
    await page.getByRole('img', { name: /^Heat map of delta/ }).waitFor();
    expect(complaints).toEqual([]);
  });

  test('says that the GPU was lost, keeps the text, and loads again', async () => {
    const { page } = opened;
    await page.setViewportSize({ width: 390, height: 844 });
    await page.getByLabel('Watch').uncheck();
    await generate(page, { ...fields, Tokens: '2' });
    const text = await transcript(page).textContent();
    await page.evaluate(() => new BroadcastChannel('lose').postMessage('now'));

    const alert = page.getByRole('alert');
    await page.waitForTimeout(200);
    await page.getByLabel('Seed').scrollIntoViewIfNeeded();
    await page.getByLabel('Add text').press('Control+Enter');
    await alert.waitFor();
    expect(await alert.textContent()).toMatch(/the GPU device was lost.*[^.]\. Load the model again\./);
    // The alert is visible after scrolling down to the text, too.
    const { top, bottom } = await alert.evaluate((element) => element.getBoundingClientRect().toJSON() as DOMRect);
    expect(top >= 0 && bottom <= 844).toBe(true);
    expect(await transcript(page).textContent()).toBe(text);
    await button(page, 'Load model').click();
    await settled(page, 'is loaded, on WebGPU');
    await generate(page, { 'Add text': 'And God said', Tokens: '2' });
  });
});

describe.each([
  ['a phone, light', { viewport: { width: 375, height: 740 }, colorScheme: 'light' }],
  ['a desktop, dark', { viewport: { width: 1280, height: 900 }, colorScheme: 'dark' }],
] as const)('on %s', (_, options) => {
  test('fits the width, and axe finds nothing', async () => {
    const { page, complaints } = await loaded(browser, options);
    await generate(page, { Tokens: '30' });
    await button(page, 'Mark').click();
    await page.getByRole('img', { name: /^Heat map of delta/ }).waitFor();
    await page.getByText('The numbers, as a table').click();
    expect(await overflow(page)).toBe(0);
    expect(await audit(page)).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
