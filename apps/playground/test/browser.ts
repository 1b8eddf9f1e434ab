// Serves the production build as a static site would, and opens it in headless Chromium.
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { build, preview } from 'vite';
import { inject } from 'vitest';

const CONFIG = fileURLToPath(new URL('../vite.config.ts', import.meta.url));

export interface Site {
  readonly address: string;
  /** The folder of the built files. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Serves the pages, which are built once for all test files of a run. */
export async function buildSite(): Promise<Site> {
  const outDir = await built(inject('sharedFolder'));
  const server = await preview({
    configFile: CONFIG,
    logLevel: 'error',
    build: { outDir },
    preview: { port: 0, host: '127.0.0.1', open: false },
  });
  return { address: server.resolvedUrls!.local[0]!, folder: outDir, close: () => server.close() };
}

/** The first test file that comes builds the pages, and the others wait for it. */
async function built(shared: string): Promise<string> {
  const [outDir, done, lock] = ['site', 'done', 'lock'].map((name) => join(shared, name)) as [string, string, string];
  while (!existsSync(done)) {
    if (!taken(lock)) {
      await setTimeout(100);
      continue;
    }
    try {
      if (!existsSync(done))
        await build({ configFile: CONFIG, logLevel: 'error', build: { outDir, emptyOutDir: true } });
      writeFileSync(done, '');
    } finally {
      rmdirSync(lock);
    }
  }
  return outDir;
}

/** Takes a lock, a folder that only one can make. @returns whether it was taken. */
function taken(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
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

/**
 * Has a page itself press a button, when the text of a part of the button's section fits a pattern. No message from
 * here would come in time.
 */
export function pressWhen(page: Page, part: string, pattern: RegExp, button: string): Promise<void> {
  return page.evaluate(
    ([part, source, flags, name]) => {
      new MutationObserver((_, observer) => {
        const element = document.querySelector(part);
        if (element === null || !new RegExp(source, flags).test(element.textContent)) return;
        observer.disconnect();
        const section = element.closest('section, header, main')!;
        [...section.querySelectorAll('button')].find(({ textContent }) => textContent === name)!.click();
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    },
    [part, pattern.source, pattern.flags, button] as const,
  );
}
