/**
 * Checks that test/conformance.test.ts alone runs: minutes of compute in SwiftShader, for kernels that smaller checks
 * reach.
 */
const NODE_ONLY = [
  'checkpoint/kjv-mamba', // the example page of browser.test.ts generates from it, and must give the text that Node gives
  'checkpoint/induction-heads',
  'properties/',
  'invariants/upload-rows/',
];

/** Whether the page runs a check: nearly the whole suite, on the limits and features that every browser grants. */
export function inBrowser(id: string): boolean {
  return !NODE_ONLY.some((prefix) => id.startsWith(prefix));
}
