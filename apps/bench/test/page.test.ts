// Drives the built web page in headless Chromium: its worker, WebGPU on SwiftShader, isolation.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { audit, launchChromium, overflow } from '@mamba/software-gpu';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderHtml } from '../src/report/html/page.ts';
import { parseReport } from '../src/schema/report.ts';
import { parseVersus } from '../src/schema/versus.ts';
import { exampleReport } from './example-report.ts';
import { exampleVersus } from './example-versus.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
/** Asks by a timer: a page that draws nothing may get no animation frames, which are the default. */
const TIMEOUT = { timeout: 280_000, polling: 100 };
const PHONE = { width: 390, height: 844 };
const WINDOW = { width: 1100, height: 900 };
const WORKERS = /worker[^/]*\.js$/;

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('the web page', () => {
  let server: PreviewServer;
  let browser: Awaited<ReturnType<typeof launchChromium>>;
  let page: Awaited<ReturnType<typeof browser.newPage>>;
  const failures: string[] = [];
  /** Whether workers measure as they do for users. */
  let fullLength = false;

  beforeAll(async () => {
    const configFile = join(root, 'vite.config.ts');
    await build({ configFile, root: join(root, 'web'), logLevel: 'error' });
    server = await preview({ configFile, root: join(root, 'web'), preview: { port: 0, host: '127.0.0.1' } });
    browser = await launchChromium();
    page = await browser.newPage({ viewport: WINDOW });
    // Workers measure, so they get the short measurements that vitest.config.ts sets for Node.
    await page.context().route(WORKERS, async (route) => {
      if (fullLength) return route.continue();
      const response = await route.fetch();
      await route.fulfill({ response, body: `globalThis.mambaBenchSmall = true;\n${await response.text()}` });
    });
    page.on('pageerror', (error) => failures.push(String(error)));
    await page.goto(server.resolvedUrls!.local[0]!);
    await page.click('#choices summary');
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  const choose = async (name: string, values: readonly string[]): Promise<void> => {
    for (const input of await page.locator(`input[name=${name}]`).all()) {
      await input.setChecked(values.includes((await input.getAttribute('value'))!));
    }
  };
  const exported = async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
    return parseReport(await readFile(await download.path(), 'utf8'), 'the export');
  };
  const waitForStatus = (pattern: string): Promise<unknown> =>
    page.waitForFunction(
      (source) => new RegExp(source).test(document.querySelector('#status')!.textContent ?? ''),
      pattern,
      TIMEOUT,
    );

  it('is isolated from other origins, so that threads are possible', async () => {
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    expect(await page.textContent('#isolation')).toContain('threads are possible');
  });

  it('measures both backends in a worker, and exports what the command line reads', async () => {
    await choose('suite', ['scan', 'conv']);
    await choose('backend', ['webgpu', 'cpu']);
    await page.click('#run');
    expect(await page.isDisabled('#run')).toBe(true);
    // The page answers while the worker measures.
    expect(await page.evaluate(() => 1 + 1)).toBe(2);
    await waitForStatus('^Done: ');
    const report = await exported();
    expect(report.interrupted).toBe(false);
    expect(report.machine.arch).toBe('browser');
    const [webgpu, cpu] = ['webgpu', 'cpu'].map((name) => report.backends.find((backend) => backend.name === name)!);
    expect(webgpu).toMatchObject({ status: 'ready', slow: 'software' });
    expect(cpu).toMatchObject({ status: 'ready' });
    expect(report.results.map(({ status, check }) => [status, check?.pass])).toEqual(
      report.results.map(() => ['measured', true]),
    );
    expect(new Set(report.results.map(({ backend }) => backend))).toEqual(new Set(['webgpu', 'cpu']));
    expect(await page.locator('#scan tbody tr').count()).toBe(
      report.results.filter(({ suite }) => suite === 'scan').length,
    );
    expect(await page.locator('#scan figure svg circle').count()).toBeGreaterThan(3);
    expect(failures).toEqual([]);
  });

  it('runs the cpu on several numbers of threads, and refuses what is no number', async () => {
    await choose('suite', ['block']);
    await choose('backend', ['cpu']);
    await page.fill('#threads', '1, two');
    await page.click('#run');
    await waitForStatus('^Threads are whole numbers');
    expect(await page.isDisabled('#run')).toBe(false);
    await page.fill('#threads', '1, 2');
    await page.click('#run');
    await waitForStatus('^Done: ');
    const { backends, results, ceilings } = await exported();
    expect(backends.map(({ name, details }) => [name, details?.threads])).toEqual([
      ['cpu@1', 1],
      ['cpu@2', 2],
    ]);
    expect(results.every(({ status, check, ceiling }) => status === 'measured' && check?.pass && ceiling)).toBe(true);
    // Chromium has relaxed SIMD: its limits are those, on one thread and on two.
    expect(new Set(ceilings.map(({ mode, threads }) => `${mode} ${threads}`))).toEqual(
      new Set(['relaxed 1', 'relaxed 2']),
    );
    await page.fill('#threads', '');
    expect(failures).toEqual([]);
  });

  it('cancels, and keeps what it has', async () => {
    // A run of full length is still under way when it is cancelled. The route stays, since Playwright may wait without
    // end for a worker that is gone where a route is taken away.
    fullLength = true;
    await choose('suite', ['scan', 'block']);
    await choose('backend', ['cpu']);
    // The page cancels by itself, since a step may be over before anybody outside sees it.
    await page.evaluate(() => {
      const step = document.querySelector('#step')!;
      new MutationObserver((_, observer) => {
        if (!step.textContent?.startsWith('scan/length-2048')) return;
        observer.disconnect();
        document.querySelector<HTMLButtonElement>('#cancel')!.click();
      }).observe(step, { childList: true, characterData: true, subtree: true });
    });
    await page.click('#run');
    await waitForStatus('.');
    expect(await page.textContent('#status')).toMatch(/^Cancelled: /);
    const report = await exported();
    expect(report.interrupted).toBe(true);
    expect(report.results.map(({ case: id }) => id)).toContain('scan/length-512');
    expect(report.results.map(({ suite }) => suite)).not.toContain('block');
    expect(await page.isDisabled('#run')).toBe(false);
  });

  it('shows reports of other machines beside its own, and says what is wrong with a file', async () => {
    const file = (name: string, text: string) => ({ name, mimeType: 'application/json', buffer: Buffer.from(text) });
    await page.setInputFiles('#import', [file('other.json', JSON.stringify(exampleReport()))]);
    await page.waitForSelector('#files li');
    expect(await page.textContent('#files')).toContain('other.json: Example');
    expect(await page.locator('.letter').allTextContents()).toEqual(['A', 'B']);
    await page.setInputFiles('#import', [file('broken.json', '{"kind":"other"}')]);
    await waitForStatus('broken.json is not a report of mamba-bench');
    // The file is dropped, as from a desktop.
    await page.evaluate(
      (text) => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File([text], 'dropped.json'));
        dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
      },
      JSON.stringify({ ...exampleReport(), machine: { ...exampleReport().machine, cpu: 'Third CPU' } }),
    );
    await page.waitForFunction(() => document.querySelectorAll('#files li').length === 2, undefined, TIMEOUT);
    expect(await page.locator('.letter').allTextContents()).toEqual(['A', 'B', 'C']);
    if (process.env.MAMBA_BENCH_SCREENSHOTS !== undefined) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({
          path: join(process.env.MAMBA_BENCH_SCREENSHOTS, `page-${colorScheme}.png`),
          fullPage: true,
        });
      }
    }
    await page.click('#files li button');
    expect(await page.locator('#files li').count()).toBe(1);
    expect(failures).toEqual([]);
  });

  it('sets a report that comes with the page beside its own, and has nothing that axe or a phone finds', async () => {
    await page.waitForFunction(
      () => document.querySelector<HTMLSelectElement>('#shipped')!.length > 1,
      undefined,
      TIMEOUT,
    );
    expect(await page.locator('#shipped option').allTextContents()).toContainEqual(expect.stringContaining('h100'));
    await page.selectOption('#shipped', { index: 1 });
    // This browser comes first, then the imported file and the report that was chosen.
    expect(await page.locator('.letter').first().textContent()).toBe('A');
    expect(await page.locator('.card h2').first().textContent()).toContain('processor not told');
    expect(await page.locator('.headline b').count()).toBeGreaterThan(1);
    for (const [colorScheme, viewport] of [
      ['light', WINDOW],
      ['dark', PHONE],
    ] as const) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      expect(await audit(page), colorScheme).toEqual([]);
      expect(await overflow(page)).toBe(0);
      await page.selectOption('#shipped', { index: 2 });
    }
    await page.setViewportSize(WINDOW);
    await page.selectOption('#shipped', '');
    expect(await page.locator('.letter').allTextContents()).toEqual(['A', 'B']);
    expect(failures).toEqual([]);
  });

  it('has the same for the file that the command line writes', async () => {
    const file = await browser.newPage({ viewport: PHONE, colorScheme: 'dark' });
    await file.setContent(renderHtml({ reports: [exampleReport(), exampleReport()], notes: ['a note'] }));
    expect(await audit(file)).toEqual([]);
    expect(await overflow(file)).toBe(0);
    await file.close();
  });

  describe('versus', () => {
    let versus: typeof page;
    const statusOf = (pattern: string): Promise<unknown> =>
      versus.waitForFunction(
        (source) => new RegExp(source).test(document.querySelector('#status')!.textContent ?? ''),
        pattern,
        TIMEOUT,
      );
    beforeAll(async () => {
      versus = await browser.newPage({ viewport: WINDOW });
      versus.on('pageerror', (error) => failures.push(String(error)));
      await versus.context().route(WORKERS, async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, body: `globalThis.mambaBenchSmall = true;\n${await response.text()}` });
      });
      await versus.goto(`${server.resolvedUrls!.local[0]!}versus.html?quick`);
    });
    const saved = async () => {
      const [download] = await Promise.all([versus.waitForEvent('download'), versus.click('#save')]);
      return parseVersus(await readFile(await download.path(), 'utf8'), 'the result');
    };

    it('measures two systems in a worker, draws them as they come, and saves the result', async () => {
      await versus.selectOption('#backend', 'cpu');
      for (const input of await versus.locator('input[name=system]').all())
        await input.setChecked((await input.getAttribute('value')) === 'time-invariant');
      await versus.click('#run');
      expect(await versus.isDisabled('#run')).toBe(true);
      // A plot is there before the end.
      await versus.waitForSelector('.measure svg', { timeout: 280_000 });
      await statusOf('^Done: ');
      const report = await saved();
      expect(report.interrupted).toBe(false);
      expect(report.systems.map(({ name }) => name)).toEqual(['mamba', 'time-invariant']);
      expect(report.agreements.map(({ status }) => status)).toEqual(['agrees', 'agrees']);
      expect(report.points.map(({ status }) => status)).toEqual(report.points.map(() => 'measured'));
      expect(report.points).toHaveLength(2 * 3 * 3);
      expect(await versus.locator('.measure svg').count()).toBe(6);
      expect(await versus.locator('[data-table=generation] tbody tr').count()).toBe(2);
      expect(failures).toEqual([]);
    });

    it('reads points out by the keyboard, and shows the speed as tokens a second', async () => {
      const plot = versus.locator('.plots').first();
      await plot.focus();
      await versus.keyboard.press('ArrowRight');
      const readout = versus.locator('figure output').first();
      expect(await readout.textContent()).toMatch(/^Mamba, 16 tokens: .* [µm]?s$/);
      await versus.keyboard.press('ArrowRight');
      expect(await readout.textContent()).toMatch(/^Mamba, 32 tokens: /);
      await versus.check('input[name=speed][value=rate]', { force: true });
      expect(await versus.locator('figure h3').first().textContent()).toBe('Tokens a second');
      expect(await readout.textContent()).toMatch(/^Mamba, 32 tokens: [\d.]+( k| M)?$/);
    });

    it('puts the result into a link, which shows it with the machine it came from', async () => {
      await versus.click('#share');
      await statusOf('holds the whole result');
      const address = versus.url();
      const other = await browser.newPage();
      other.on('pageerror', (error) => failures.push(String(error)));
      await other.goto(address);
      await other.waitForSelector('.measure svg');
      expect(await other.textContent('#origin')).toContain('This came with the link: measured on');
      const cells = (where: typeof other) => where.locator('[data-table=forward] td').allTextContents();
      const [given, linked] = [await cells(versus), await cells(other)];
      expect(linked).toHaveLength(given.length);
      // The link has four digits, so that a third one may be rounded otherwise.
      for (const [index, text] of linked.entries()) {
        expect(text.replace(/[\d.]+/, '')).toBe(given[index]!.replace(/[\d.]+/, ''));
        expect(Number.parseFloat(text) / Number.parseFloat(given[index]!)).toBeCloseTo(1, 1);
      }
      await other.goto(address.slice(0, -200));
      await other.reload();
      await other.waitForFunction(() => document.querySelector('#status')!.textContent !== '', undefined, TIMEOUT);
      expect(await other.textContent('#status')).toContain('the link is damaged');
      await other.close();
      expect(failures).toEqual([]);
    });

    it('stops midway with what it has, and says where a backend is not here', async () => {
      await versus.evaluate(() => {
        const doing = document.querySelector('#doing')!;
        new MutationObserver((_, observer) => {
          if (!doing.textContent?.includes('train, length')) return;
          observer.disconnect();
          document.querySelector<HTMLButtonElement>('#stop')!.click();
        }).observe(doing, { childList: true, characterData: true, subtree: true });
      });
      await versus.click('#run');
      await statusOf('^Stopped: ');
      const report = await saved();
      expect(report.interrupted).toBe(true);
      expect(report.points.length).toBeGreaterThan(0);
      await versus.evaluate(() => document.querySelector('#backend')!.append(new Option('abacus', 'abacus')));
      await versus.selectOption('#backend', 'abacus');
      await versus.click('#run');
      await statusOf('there is no backend "abacus"');
      expect(await versus.isDisabled('#run')).toBe(false);
    });

    it('shows what was refused and left out in a file, on a phone as well, and calculates', async () => {
      await versus.setViewportSize(PHONE);
      const buffer = Buffer.from(JSON.stringify(exampleVersus()));
      await versus.setInputFiles('#open', { name: 'other.json', mimeType: 'application/json', buffer });
      await versus.waitForFunction(() => document.querySelector('#origin')!.textContent!.startsWith('From other.json'));
      expect(await versus.locator('[data-table=forward]').textContent()).toContain('✕ 8.00 GiB');
      expect(await versus.locator('[data-table=crossings] td').first().textContent()).toBe('from 328: 1.56×');
      expect(await versus.locator('.curve-attention').count()).toBeGreaterThan(0);
      for (const colorScheme of ['light', 'dark'] as const) {
        await versus.emulateMedia({ colorScheme });
        expect(await audit(versus), colorScheme).toEqual([]);
      }
      // Nothing is wider than the phone.
      expect(await overflow(versus)).toBe(0);
      await versus.fill('[name=length]', '1024');
      expect(await versus.textContent('.out')).toContain('1.50 GiB');
      await versus.fill('[name=length]', '');
      expect(await versus.textContent('.out')).toContain('whole number');
      expect(failures).toEqual([]);
    });
  });
});
