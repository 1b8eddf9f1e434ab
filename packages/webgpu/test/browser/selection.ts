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
  // What a call leaves behind is counted on the host, which does the same in a browser.
  'invariants/calls/',
  // These repeat the laws of `model` and `block` with other kinds and options, whose numbers other checks compare.
  'invariants/model-falcon/',
  'invariants/model-mixed/',
  'invariants/block-falcon/',
  // Golden values of scans: the suite has a case for each of their options and shapes.
  'golden/scan-golden/',
];

/**
 * Scans of few states that have the same pipelines with and without subgroups: one lane a channel has no sum over
 * lanes. They are the combinations of options, and all that the Euler kernel, which needs subgroups, does not take:
 * zoh, bilinear, constant B or C, resets.
 */
const SAME_PIPELINES = [
  /^selective-scan(-backward)?\/with-/,
  /^selective-scan\/(zoh|bilinear)-(all-off|constant|state16)$/,
  /^selective-scan\/b-.*constant/,
  /^selective-scan\/(regime|.*-a)-.*(zoh|bilinear)$/,
  /^selective-scan\/.*-a-resets-euler$/,
  /^invariants\/selective-scan-(zoh|bilinear|constant)\//,
];
/** Those that run in a browser all the same, for its compiler of shaders: no option, and most of them. */
const OF_EACH_COMPILER = [
  'selective-scan/with-nothing',
  'selective-scan/with-D-z-deltaBias-deltaSoftplus-initialState',
  'selective-scan-backward/with-nothing',
  'selective-scan-backward/with-D-z-deltaBias-deltaSoftplus',
];

/** Whether the page runs a check: most of the suite, on the limits and features that every browser grants. */
export function inBrowser(id: string): boolean {
  if (OF_EACH_COMPILER.includes(id)) return true;
  return !NODE_ONLY.some((prefix) => id.startsWith(prefix)) && !SAME_PIPELINES.some((ids) => ids.test(id));
}
