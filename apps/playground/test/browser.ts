// Serves the production build as a static site would, and opens it in headless Chromium.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';

export interface Site {
  readonly address: string;
  close(): Promise<void>;
}

export async function buildSite(): Promise<Site> {
  const outDir = mkdtempSync(join(tmpdir(), 'mamba-playground-'));
  const configFile = fileURLToPath(new URL('../vite.config.ts', import.meta.url));
  const remove = (): void => rmSync(outDir, { recursive: true, force: true });
  let server: PreviewServer;
  try {
    await build({ configFile, logLevel: 'error', build: { outDir, emptyOutDir: true } });
    server = await preview({
      configFile,
      logLevel: 'error',
      build: { outDir },
      preview: { port: 0, host: '127.0.0.1', open: false },
    });
  } catch (error) {
    remove();
    throw error;
  }
  const close = async (): Promise<void> => {
    await server.close();
    remove();
  };
  return { address: server.resolvedUrls!.local[0]!, close };
}

export interface Opened {
  readonly page: Page;
  /** The errors that were thrown, and the errors and warnings that were written to the console. */
  readonly complaints: readonly string[];
}

export async function open(browser: Browser, address: string, options: BrowserContextOptions = {}): Promise<Opened> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(address);
  return { page, complaints };
}
