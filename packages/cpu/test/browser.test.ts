// The backend in headless Chromium, from a production build of Vite: threads where the page is cross-origin isolated,
// one where it is not.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { suite } from '@mamba/conformance';
import { launchChromium } from '@mamba/software-gpu';
import type { Browser, Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Job, JobReport } from './browser/run.ts';

const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

describe.runIf(process.platform === 'linux' && process.arch === 'x64')('in headless Chromium', { timeout: 0 }, () => {
  const outDir = mkdtempSync(join(tmpdir(), 'mamba-cpu-browser-'));
  const servers: PreviewServer[] = [];
  let browser: Browser;

  beforeAll(async () => {
    const root = fileURLToPath(new URL('browser/', import.meta.url));
    const common = {
      root,
      configFile: false,
      logLevel: 'error',
      appType: 'mpa',
      worker: { format: 'es' },
      publicDir: fileURLToPath(new URL('../../conformance/fixtures', import.meta.url)),
    } as const;
    await build({
      ...common,
      build: { outDir, target: 'esnext', rollupOptions: { input: join(root, 'conformance.html') } },
    });
    for (const headers of [ISOLATED, {}])
      servers.push(await preview({ ...common, build: { outDir }, preview: { port: 0, host: '127.0.0.1', headers } }));
    browser = await launchChromium();
  }, 0);
  afterAll(async () => {
    await browser?.close();
    await Promise.all(servers.map((server) => server.close()));
    rmSync(outDir, { recursive: true, force: true });
  }, 0);

  async function open(isolated: boolean): Promise<Page> {
    const page = await browser.newPage();
    page.setDefaultTimeout(0);
    await page.goto(new URL('conformance.html', servers[isolated ? 0 : 1]!.resolvedUrls!.local[0]!).href);
    await page.waitForFunction(() => 'inWorker' in window);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(isolated);
    return page;
  }

  // The first test adds whole models to the cases of operations, blocks and models. In the others the engine compiles
  // another build, or threads wait in another way; the cases suffice for that.
  async function passes(report: JobReport, scope?: Job['scope']): Promise<void> {
    const failed = report.checks.filter(({ status }) => status === 'failed');
    expect(failed.map(({ id, reports }) => `${id}: ${reports.find(({ pass }) => !pass)?.message}`)).toEqual([]);
    expect(report.checks.map(({ id }) => id)).toEqual((await suite({ scope })).map(({ id }) => id));
    expect(report.left).toEqual({ tensors: 0, bytes: 0 });
  }

  test('three threads, from a worker of an isolated page', async () => {
    const page = await open(true);
    // test/engines.test.ts runs the whole suite of the same build on the same engine. What a browser adds is how
    // threads start and wait there, which these calls show.
    const job: Job = { options: { threads: 3 }, scope: ['cases', 'checkpoints'] };
    const report = await page.evaluate((given) => window.inWorker(given), job);
    expect(report.description).toBe('WebAssembly relaxed SIMD, 3 threads');
    await passes(report, job.scope);
    await page.close();
  });

  test('plain SIMD with two threads', async () => {
    const page = await open(true);
    const job: Job = { options: { threads: 2, build: 'simd' }, scope: ['cases'] };
    const report = await page.evaluate((given) => window.inWorker(given), job);
    expect(report.description).toBe('WebAssembly SIMD, 2 threads');
    await passes(report, job.scope);
    await page.close();
  });

  test('threads from the page itself, which must not sleep', async () => {
    const page = await open(true);
    const job: Job = { options: { threads: 2 }, scope: ['cases'] };
    const report = await page.evaluate((given) => window.onPage(given), job);
    expect(report.threads).toBe(2);
    await passes(report, job.scope);
    await page.close();
  });

  test('one thread where the page is not isolated, and the description says why', async () => {
    const page = await open(false);
    // One thread never waits, so page and worker share the checks.
    for (const [where, section] of [
      ['onPage', 'cases'],
      ['inWorker', 'checkpoints'],
    ] as const) {
      const job: Job = { options: { threads: 4 }, scope: [section] };
      const report = await page.evaluate(([name, given]) => window[name](given), [where, job] as const);
      expect(report.threads).toBe(1);
      expect(report.description).toMatch(/^WebAssembly relaxed SIMD, 1 thread \(.*not cross-origin isolated.*\)$/);
      await passes(report, job.scope);
    }
    await page.close();
  });
});
