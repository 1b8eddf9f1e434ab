/** A channel to a worker of a page in headless Chromium, the built web page's. Node only. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serveFiles } from '../peers/server.ts';
import type { Answer, Ask } from './messages.ts';
import type { Channel } from './remote.ts';

type SeatPage = typeof globalThis & { askSeat?: (ask: Ask) => Promise<Answer> };

/** @throws Error where Chromium does not start here, or the page is not built. */
export async function openChromiumSeat(): Promise<Channel> {
  // Built, wherever this very file is.
  const root = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), 'dist', 'web');
  if (!existsSync(join(root, 'seat.html'))) throw new Error('the web page is not built');
  const { launchChromium } = await import('@mamba/software-gpu');
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const server = await serveFiles(Object.fromEntries(names.map((name) => [`/${name}`, join(root, name)])));
  let end: (reason: Error) => void = () => {};
  let hear: (answer: Answer) => void = () => {};
  // The run decides what Ctrl-C does.
  const browser = await launchChromium([], { signals: false }).catch(async (error: unknown) => {
    await server.close();
    throw error;
  });
  const close = async (): Promise<void> => {
    await browser.close();
    await server.close();
    end(new Error('its browser is closed'));
  };
  try {
    const page = await browser.newPage();
    page.on('crash', () => end(new Error('its page crashed')));
    await page.goto(`${server.url}/seat.html`);
    await page.waitForFunction(() => (globalThis as SeatPage).askSeat !== undefined);
    return {
      send(ask) {
        page
          .evaluate((given) => (globalThis as SeatPage).askSeat!(given), ask)
          .then(hear, (error: unknown) => end(error instanceof Error ? error : new Error(String(error))));
      },
      onAnswer(listener) {
        hear = listener;
      },
      onEnd(listener) {
        end = listener;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
