/** Serves a folder as a cross-origin isolated page, and opens it in Chromium or Firefox. */
import { spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import process from 'node:process';
import { launchChromium } from '../../tools/software-gpu/dist/index.js';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.json': 'application/json',
};
export const ISOLATED = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'cross-origin',
};

/** Serves a folder; `posted` settles when a page tells its result. */
export async function serveFolder(folder, headers = {}) {
  let tell;
  const posted = new Promise((resolve) => {
    tell = resolve;
  });
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries({ ...ISOLATED, ...headers })) response.setHeader(name, value);
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        response.end();
        tell(JSON.parse(body));
      });
      return;
    }
    const { pathname } = new URL(request.url, 'http://localhost');
    const file = join(folder, pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    if (!existsSync(file) || !statSync(file).isFile()) {
      response.statusCode = 404;
      response.end();
      return;
    }
    response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}/`, posted, close: () => new Promise((resolve) => server.close(resolve)) };
}

/** Opens a page in Chromium, and returns its title, to which it writes its result. */
export async function inChromium(url) {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    page.on('pageerror', (error) => said.push(String(error)));
    await page.goto(url, { waitUntil: 'commit' });
    try {
      await page.waitForFunction(() => document.title.startsWith('{'), undefined, { timeout: 60_000 });
    } catch {
      return { failure: `the page tells nothing: ${said.join(' ')}` };
    }
    return JSON.parse(await page.title());
  } finally {
    await browser.close();
  }
}

const FIREFOX = process.env.FIREFOX ?? 'firefox-esr';

/** Opens a page in an installed Firefox, and returns the result that it posts to its server. */
export async function inFirefox(folder, profile) {
  const { url, posted, close } = await serveFolder(folder);
  mkdirSync(profile, { recursive: true });
  writeFileSync(join(profile, 'user.js'), 'user_pref("browser.shell.checkDefaultBrowser", false);\n');
  const browser = spawn(FIREFOX, ['--headless', '--no-remote', '--profile', profile, url], { stdio: 'ignore' });
  const gone = new Promise((resolve) => {
    browser.once('error', () => resolve({ failure: `there is no ${FIREFOX}: install it, or name it by FIREFOX` }));
    browser.once('exit', () => resolve({ failure: `${FIREFOX} ended` }));
  });
  try {
    return await Promise.race([posted, gone]);
  } finally {
    browser.kill('SIGKILL');
    await close();
  }
}

/** Serves a built page, and returns its result in Chromium. */
export async function pageOf(folder, headers) {
  const server = await serveFolder(folder, headers);
  try {
    return await inChromium(server.url);
  } finally {
    await server.close();
  }
}
