/**
 * Checks that test/conformance.test.ts alone runs: minutes of SwiftShader's time, for kernels that smaller checks
 * reach, and pipelines that are the same with the limits and features of every browser.
 */
const NODE_ONLY = [
  // The example page of browser.test.ts generates from it, and must give the text that Node gives.
  'checkpoint/kjv-mamba',
  'checkpoint/induction-heads',
  'properties/',
  'invariants/upload-rows/',
  // Combinations of options, each a pipeline: of those without resets selective-scan/with-… has all.
  'golden/scan-golden/opt_',
];

/** With resets a small scan has one lane a channel and no sum over lanes, which is what differs without subgroups. */
const SAME_PIPELINES = /^selective-scan\/with-.*resets$/;

/** Whether the page runs a check: nearly the whole suite, on the limits and features that every browser grants. */
export function inBrowser(id: string): boolean {
  return !NODE_ONLY.some((prefix) => id.startsWith(prefix)) && !SAME_PIPELINES.test(id);
}
