/** A GPU in software and a headless browser, from npm alone. */
export { CHROMIUM_FLAGS, launchChromium } from './chromium.ts';
export { audit, COMPILE_LAZILY, overflow } from './page.ts';
export { useSwiftShader } from './swiftshader.ts';
