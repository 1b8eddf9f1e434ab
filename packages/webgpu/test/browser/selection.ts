/**
 * Checks that only test/conformance.test.ts runs. They take minutes on SwiftShader; smaller checks reach the same
 * kernels, and their pipelines do not depend on limits and features.
 */
const NODE_ONLY = [
  // The example page of browser.test.ts generates from it, and must give the text that Node gives.
  'checkpoint/kjv-mamba',
  'checkpoint/induction-heads',
  'properties/',
  'invariants/upload-rows/',
  // Each combination of options is a pipeline, and selective-scan/with-… has all of those without resets.
  'golden/scan-golden/opt_',
];

/** With resets a small scan has one lane a channel and no sum over lanes, which is what differs without subgroups. */
const SAME_PIPELINES = /^selective-scan\/with-.*resets$/;

/** Whether the page runs a check: nearly the whole suite, on the limits and features that every browser grants. */
export function inBrowser(id: string): boolean {
  return !NODE_ONLY.some((prefix) => id.startsWith(prefix)) && !SAME_PIPELINES.test(id);
}
