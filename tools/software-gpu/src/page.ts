import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Returns the faults that axe finds in a page: names, roles, contrast, landmarks, order of headings. */
export async function audit(page: Page): Promise<readonly string[]> {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
  });
}

/**
 * A script for a page, or its worker, which has a pipeline compiled when it is first used. A model prepares all that it
 * may need, which takes SwiftShader seconds.
 */
export const COMPILE_LAZILY =
  'GPUDevice.prototype.createComputePipelineAsync = () => Promise.reject(new Error("is not prepared"));';

/** The number of CSS pixels by which the page is wider than its window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}
