import { suite } from '@mamba/conformance';
import { loadModel } from '@mamba/lm';
import { COMPILE_LAZILY } from '@mamba/software-gpu';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.ts';
import { OF_EVERY_BROWSER } from './browser/options.ts';
import { recordPipelines } from './browser/recorded.ts';
import {
  LONG_CHECKS,
  type PipelinesOfChecks,
  type PipelinesOfNode,
  pipelinesOfNode,
  selectForBrowser,
  shownBy,
} from './browser/selection.ts';
import { openBrowser, type TestBrowser } from './browser.ts';

describe('in headless Chromium', () => {
  let browser: TestBrowser;
  let ofNode: PipelinesOfNode;
  let ofBrowser: PipelinesOfChecks;
  let selected: ReadonlySet<string>;
  let ids: readonly string[];
  beforeAll(async () => {
    const checks = await suite();
    ids = checks.map(({ id }) => id);
    const short = checks.filter(({ id }) => !LONG_CHECKS.some((prefix) => id.startsWith(prefix)));
    const node = await recordPipelines(short, {});
    ofBrowser = await recordPipelines(short, OF_EVERY_BROWSER);
    ofNode = pipelinesOfNode(new Set(labelsOf(node, node.keys())));
    selected = selectForBrowser(ofBrowser, ofNode);
    browser = await openBrowser(new URL('browser/', import.meta.url), ['conformance.html']);
  });
  afterAll(() => browser?.close());

  test('the checks that a browser adds to those of Node are selected', () => {
    for (const prefix of LONG_CHECKS) expect(ids).toContainEqual(expect.stringMatching(`^${prefix}`));
    const reached = shownBy(labelsOf(ofBrowser, ofBrowser.keys()), ofNode);
    expect(shownBy(labelsOf(ofBrowser, selected), ofNode)).toEqual(reached);
    // The layout of the backward scan that only devices without subgroups have.
    expect(reached).toContain('selective-scan-backward-euler/one-none');
  });

  test('the conformance suite passes', { timeout: 900_000 }, async () => {
    const { page, failures } = await browser.open('conformance.html');
    await page.waitForFunction(() => 'conformance' in window);
    const report = await page.evaluate((ids) => window.conformance(ids), [...selected]);
    expect(report.description).toContain('WebGPU');
    const failed = report.checks.filter(({ status }) => status === 'failed');
    expect(failed.map(({ id, reports }) => `${id}: ${reports.find(({ pass }) => !pass)?.message}`)).toEqual([]);
    expect(report.checks.map(({ id }) => id)).toEqual(ids.filter((id) => selected.has(id)));
    expect(report.checks.filter(({ status }) => status === 'gap')).toEqual([]);
    // The browser compiled the pipelines that the selection is made of.
    expect(new Set(report.pipelines)).toEqual(new Set(labelsOf(ofBrowser, selected)));
    expect(report.left).toEqual({ tensors: 0, bytes: 0 });
    expect(failures).toEqual([]);
  });
});

/** The pipelines of these checks together. */
function labelsOf(pipelines: PipelinesOfChecks, ids: Iterable<string>): readonly string[] {
  return [...ids].flatMap((id) => [...pipelines.get(id)!]);
}

describe('the example page', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser(new URL('../examples/browser/', import.meta.url), ['index.html']);
  });
  afterAll(() => browser?.close());

  test('loads a checkpoint and generates what Node does', async () => {
    const backend = await webgpu().create();
    const lm = await loadModel(backend, new URL('../../conformance/fixtures/kjv-mamba/', import.meta.url));
    let expected = 'And God said';
    for await (const { text } of lm.generate({ prompt: expected, maxTokens: 24 })) expected += text;
    lm.dispose();
    await backend.dispose();

    // A test of the playground loads a model as users do.
    const { page, failures } = await browser.open('index.html', COMPILE_LAZILY);
    await page.fill('[name=tokens]', '24');
    await page.click('button');
    await page.waitForFunction(
      () => /^24 tokens/.test(document.querySelector('#status')?.textContent ?? ''),
      undefined,
      {
        timeout: 100_000,
      },
    );
    expect(await page.textContent('output')).toBe(expected);
    expect(failures).toEqual([]);
  });

  test('says what is wrong with a checkpoint that is not there', async () => {
    const { page } = await browser.open('index.html');
    await page.fill('[name=checkpoint]', '/no-such-checkpoint/');
    await page.click('button');
    await page.waitForFunction(() => /config\.json/.test(document.querySelector('#status')?.textContent ?? ''));
  });
});
