// node apps/playground/scripts/picture.mjs: makes docs/pictures/showcase.png, the top of the showcase once its model
// has written, from the built pages (npm run build) in headless Chromium. The text is the same each time; the speeds
// are those of the machine that makes it.
import { fileURLToPath } from 'node:url';
import { launchChromium } from '@mamba/software-gpu';
import { preview } from 'vite';

const PICTURE = fileURLToPath(new URL('../../../docs/pictures/showcase.png', import.meta.url));
const CONFIG = fileURLToPath(new URL('../vite.config.ts', import.meta.url));

const server = await preview({ configFile: CONFIG, preview: { port: 0, host: '127.0.0.1', open: false } });
const browser = await launchChromium();
const page = await browser.newPage({ viewport: { width: 1180, height: 800 }, colorScheme: 'light' });
await page.goto(`${server.resolvedUrls.local[0]}showcase.html`);
await page.locator('.story[aria-busy=false] .written').first().waitFor();
const { y, height } = await page.locator('.opening > .hint').boundingBox();
await page.screenshot({ path: PICTURE, clip: { x: 0, y: 0, width: 1180, height: Math.ceil(y + height + 24) } });
await browser.close();
await server.close();
