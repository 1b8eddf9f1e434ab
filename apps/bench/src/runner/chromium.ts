/** A channel to a runner in a worker of headless Chromium, from the built web page. Node only. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { builtFile } from '../built.ts';
import { serveFiles } from '../peers/server.ts';
import type { RunnerRequest, RunnerResponse } from './messages.ts';
import type { Channel } from './remote.ts';

type RunnerPage = typeof globalThis & { callRunner?: (request: RunnerRequest) => Promise<RunnerResponse> };

/** @throws Error where Chromium does not start here, or the page is not built. */
export async function openChromiumRunner(): Promise<Channel> {
  const root = builtFile('web');
  if (!existsSync(join(root, 'runner.html'))) throw new Error('the web page is not built');
  const { launchChromium } = await import('@mamba/software-gpu');
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const server = await serveFiles(Object.fromEntries(names.map((name) => [`/${name}`, join(root, name)])));
  let end: (reason: Error) => void = () => {};
  let respond: (response: RunnerResponse) => void = () => {};
  // The run handles Ctrl-C.
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
    await page.goto(`${server.url}/runner.html`);
    await page.waitForFunction(() => (globalThis as RunnerPage).callRunner !== undefined);
    return {
      send(request) {
        page
          .evaluate((given) => (globalThis as RunnerPage).callRunner!(given), request)
          .then(
            (response) => respond(response),
            (error: unknown) => end(error instanceof Error ? error : new Error(String(error))),
          );
      },
      onResponse(listener) {
        respond = listener;
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
