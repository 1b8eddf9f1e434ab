// node scripts/audit.mjs: opens every page of the built site in headless Chromium, on a phone and in both schemes, and
// ends with 1 where axe finds a fault or a page is too wide. It takes some minutes, so it is no part of the tests.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { audit, launchChromium, overflow } from '@mamba/software-gpu';

const SITE = fileURLToPath(new URL('../dist/', import.meta.url));
/** No request leaves this machine: the files answer for this address. */
const ADDRESS = 'http://site.invalid/';
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

const browser = await launchChromium();
const context = await browser.newContext({ viewport: { width: 390, height: 844 }, reducedMotion: 'reduce' });
await context.route(`${ADDRESS}**`, (route) => {
  const path = decodeURIComponent(new URL(route.request().url()).pathname);
  return route.fulfill({ body: readFileSync(join(SITE, path)), contentType: TYPES[extname(path)] });
});
let faults = 0;
const files = readdirSync(SITE, { recursive: true })
  .filter((file) => file.endsWith('.html'))
  .toSorted();
const page = await context.newPage();
for (const file of files) {
  await page.goto(ADDRESS + file, { waitUntil: 'load' });
  for (const scheme of ['light', 'dark']) {
    await page.evaluate((dark) => document.documentElement.classList.toggle('dark', dark), scheme === 'dark');
    const found = await audit(page);
    const wider = await overflow(page);
    for (const fault of [...found, ...(wider > 0 ? [`the page is ${wider} pixels too wide`] : [])]) {
      console.error(`${file}, ${scheme}: ${fault}`);
      faults++;
    }
  }
}
await browser.close();
console.log(`${files.length} pages in two schemes: ${faults === 0 ? 'no faults' : `${faults} faults`}`);
process.exitCode = faults === 0 ? 0 : 1;
