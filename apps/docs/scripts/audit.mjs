// node scripts/audit.mjs: opens every page of the built site in headless Chromium, on a phone in both schemes and on a
// desktop, and ends with 1 where axe finds a fault or a page is too wide. It takes some minutes, so it is not among the
// tests.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { audit, launchChromium, overflow } from '@mamba/software-gpu';

const SITE = fileURLToPath(new URL('../dist/', import.meta.url));
/** No request leaves this machine: the files answer for this address. */
const ADDRESS = 'http://site.invalid/';
const PHONE = { width: 390, height: 844 };
const LOOKS = [
  { name: 'phone, light', viewport: PHONE, dark: false },
  { name: 'phone, dark', viewport: PHONE, dark: true },
  { name: 'desktop, light', viewport: { width: 1280, height: 800 }, dark: false },
];
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

const browser = await launchChromium();
const context = await browser.newContext({ viewport: PHONE, reducedMotion: 'reduce' });
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
  for (const { name, viewport, dark } of LOOKS) {
    await page.setViewportSize(viewport);
    await page.evaluate((on) => document.documentElement.classList.toggle('dark', on), dark);
    const found = await audit(page);
    const wider = await overflow(page);
    for (const fault of [...found, ...(wider > 0 ? [`the page is ${wider} pixels too wide`] : [])]) {
      console.error(`${file}, ${name}: ${fault}`);
      faults++;
    }
  }
}
await browser.close();
console.log(`${files.length} pages, each ${LOOKS.length} times: ${faults === 0 ? 'no faults' : `${faults} faults`}`);
process.exitCode = faults === 0 ? 0 : 1;
