// A real browser for tests: pages are built by Vite and opened in the headless Chromium of @sparticuz/chromium, on
// SwiftShader.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launchChromium } from '@mamba/software-gpu';
import type { Browser, Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';

export interface TestBrowser {
  /** Opens a page of the build, which runs `script` before its own. `failures` has whatever the page throws. */
  open(path: string, script?: string): Promise<{ readonly page: Page; readonly failures: readonly string[] }>;
  close(): Promise<void>;
}

/** Builds the pages in `root` (one HTML file each) and serves them, with the conformance suite's fixtures at /. */
export async function openBrowser(root: URL, pages: readonly string[]): Promise<TestBrowser> {
  const outDir = mkdtempSync(join(tmpdir(), 'mamba-browser-'));
  const folder = fileURLToPath(root);
  const common = {
    root: folder,
    configFile: false,
    logLevel: 'error',
    appType: 'mpa',
    publicDir: fileURLToPath(new URL('../../conformance/fixtures', import.meta.url)),
  } as const;
  let server: PreviewServer | undefined;
  let browser: Browser | undefined;
  const close = async (): Promise<void> => {
    await browser?.close();
    await server?.close();
    rmSync(outDir, { recursive: true, force: true });
  };
  try {
    await build({
      ...common,
      build: { outDir, target: 'esnext', rollupOptions: { input: pages.map((page) => join(folder, page)) } },
    });
    server = await preview({ ...common, build: { outDir }, preview: { port: 0, host: '127.0.0.1' } });
    const address = server.resolvedUrls!.local[0]!;
    browser = await launchChromium();
    const opened = browser;
    return {
      async open(path, script) {
        const page = await opened.newPage();
        if (script !== undefined) await page.addInitScript(script);
        const failures: string[] = [];
        page.on('pageerror', (error) => failures.push(String(error)));
        await page.goto(new URL(path, address).href);
        return { page, failures };
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
