/** The page of lm's README that has no bundler works with the packages' files as they are installed. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';
import { COMPILE_LAZILY, launchChromium } from '@mamba/software-gpu';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

const PACKAGES = new URL('../../../packages/', import.meta.url);
const MODEL = new URL('conformance/fixtures/kjv-mamba/', PACKAGES);
const TYPES: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.mjs': 'text/javascript' };

let server: Server;
let browser: Browser;
let html: string;
beforeAll(async () => {
  const readme = await readFile(new URL('lm/README.md', PACKAGES), 'utf8');
  html = /```html.*\n(<script type="importmap">[\s\S]*?)```/.exec(readme)![1]!;
  server = createServer(async (request, response) => {
    const path = new URL(request.url!, 'http://host').pathname;
    if (path === '/')
      return void response.setHeader('Content-Type', 'text/html').end(`<!doctype html><body>${html}</body>`);
    const content = await readFile(fileOf(path)).catch(() => undefined);
    response.writeHead(content === undefined ? 404 : 200, { 'Content-Type': TYPES[extname(path)] ?? 'text/plain' });
    response.end(content);
  }).listen(0, '127.0.0.1');
  browser = await launchChromium();
});
afterAll(async () => {
  await browser?.close();
  server?.close();
});

/** Finds a package's file. An installation has one node_modules, and the workspace has several. */
function fileOf(path: string): URL {
  const own = path.replace(/^\/node_modules\/@mamba\//, '');
  if (own !== path) return new URL(own, PACKAGES);
  return path.startsWith('/model/') ? new URL(path.slice(7), MODEL) : new URL(`lm${path}`, PACKAGES);
}

test('a page with an import map alone writes what Node does', { timeout: 300_000 }, async () => {
  const backend = await cpu().create();
  const lm = await loadModel(backend, MODEL);
  let expected = '';
  for await (const { text } of lm.generate({ prompt: 'And God said', maxTokens: 20 })) expected += text;
  lm.dispose();
  await backend.dispose();

  const page = await browser.newPage();
  // The playground's test of WebGPU loads a model as users do.
  await page.addInitScript(COMPILE_LAZILY);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => complaints.push(message.text()));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const written = (): Promise<string> =>
    page.evaluate(() =>
      [...document.body.childNodes].flatMap((node) => (node instanceof Text ? node.data : [])).join(''),
    );
  await expect
    .poll(async () => (await written()).trim() || complaints.join(), { timeout: 240_000 })
    .toBe(expected.trim());
});
