// Serves the production build as a static site would, and opens it in headless Chromium.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { build, type PreviewServer, preview } from 'vite';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export interface Site {
  readonly address: string;
  /** The folder of the built files. */
  readonly folder: string;
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
  return { address: server.resolvedUrls!.local[0]!, folder: outDir, close };
}

export interface Opened {
  readonly page: Page;
  /** The errors that were thrown, and the errors and warnings that were written to the console. */
  readonly complaints: readonly string[];
}

/** Opens a page in a context of its own, of these options, or in the context that is given. */
export async function open(
  where: Browser | BrowserContext,
  address: string,
  options: BrowserContextOptions = {},
): Promise<Opened> {
  const context = 'newContext' in where ? await where.newContext(options) : where;
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(address);
  return { page, complaints };
}

/** Returns the faults that axe finds: names, roles, contrast, order of headings. */
export async function audit(page: Page): Promise<readonly string[]> {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

/** The number of CSS pixels by which the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/**
 * Has a page itself press a button when the text of a part of it fits a pattern, which no message from here would do in
 * time.
 */
export function pressWhen(page: Page, part: string, pattern: RegExp, button: string): Promise<void> {
  return page.evaluate(
    ([part, source, flags, name]) => {
      new MutationObserver((_, observer) => {
        const element = document.querySelector(part);
        if (element === null || !new RegExp(source, flags).test(element.textContent)) return;
        observer.disconnect();
        [...element.querySelectorAll('button')].find(({ textContent }) => textContent === name)!.click();
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    },
    [part, pattern.source, pattern.flags, button] as const,
  );
}
