import { suite } from '@mamba/conformance';
import { loadModel } from '@mamba/lm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { webgpu } from '../src/index.ts';
import { inBrowser } from './browser/selection.ts';
import { openBrowser, type TestBrowser } from './browser.ts';
import { gaps } from './gaps.ts';

describe('in headless Chromium', () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await openBrowser(new URL('browser/', import.meta.url), ['conformance.html']);
  });
  afterAll(() => browser?.close());

  test('the conformance suite passes', { timeout: 900_000 }, async () => {
    const { page, failures } = await browser.open('conformance.html');
    await page.waitForFunction(() => 'conformance' in window);
    const { description, checks, left } = await page.evaluate(() => window.conformance());
    expect(description).toContain('WebGPU');
    const failed = checks.filter(({ status }) => status === 'failed');
    expect(failed.map(({ id, reports }) => `${id}: ${reports.find(({ pass }) => !pass)?.message}`)).toEqual([]);
    expect(checks.map(({ id }) => id)).toEqual((await suite()).map(({ id }) => id).filter(inBrowser));
    expect(checks.filter(({ status }) => status === 'gap')).toHaveLength(gaps.length);
    expect(left).toEqual({ tensors: 0, bytes: 0 });
    expect(failures).toEqual([]);
  });
});

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

    const { page, failures } = await browser.open('index.html');
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
