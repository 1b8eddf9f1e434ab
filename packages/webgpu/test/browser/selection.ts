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
  'invariants/model-attention/',
  'invariants/model-mamba2/',
  'invariants/model-state-attention/',
  'invariants/model-state-mamba2/',
  'invariants/block-attention-window/',
  'invariants/block-attention-global/',
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
/**
 * Operations whose pipelines do not depend on limits or subgroups, except for those of some checks in
 * `OF_EACH_COMPILER`. test/conformance.test.ts runs the other pipelines with all options.
 */
const SAME_OPERATIONS = [
  /^attention(-backward)?\//,
  /^linear-backward\//,
  /^ssd-scan(-backward)?\//,
  // Only the Euler kernel has a layout for devices without subgroups.
  /^selective-scan-backward\/(zoh|bilinear|constant|euler-constant|b-.*constant|groups3|state(1|2|3|17|32|64)$)/,
];
/**
 * Those that run in a browser all the same. Some have other pipelines without subgroups or with the default limits:
 * steps of Mamba-2's scan, attention of wide heads, and gradients of attention. The others are for the browser's
 * compiler of shaders: each kernel with few options, and with most of them.
 */
const OF_EACH_COMPILER = [
  'attention/q1-k1-h2x2-d8',
  'attention/q19-k19-h2x1-d6',
  'attention/q19-k19-h2x1-d64',
  'attention/q19-k19-h2x1-d80',
  'attention/q19-k19-h2x1-d128',
  'attention/cache-q3',
  'attention/everything',
  'attention-backward/small',
  'attention-backward/odd-head',
  'attention-backward/everything',
  'attention-backward/head64',
  'linear-backward/several-tiles',
  'linear-backward/float16-x',
  'ssd-scan/len1',
  'ssd-scan/len2',
  'ssd-scan/len3',
  'ssd-scan/len129',
  'ssd-scan/step',
  'ssd-scan/step-of-models',
  'ssd-scan/step-bare',
  'ssd-scan/of-models',
  'ssd-scan/all-on',
  'ssd-scan-backward/bare',
  'ssd-scan-backward/all-on',
  'ssd-scan-backward/len129',
  'ssd-scan-backward/of-models',
  'selective-scan-backward/zoh',
  'selective-scan-backward/constant-groups',
  'selective-scan/with-nothing',
  'selective-scan/with-D-z-deltaBias-deltaSoftplus-initialState',
  'selective-scan-backward/with-nothing',
  'selective-scan-backward/with-D-z-deltaBias-deltaSoftplus',
];

/** Whether the page runs a check: most of the suite, on the limits and features that every browser grants. */
export function inBrowser(id: string): boolean {
  if (OF_EACH_COMPILER.includes(id)) return true;
  if (NODE_ONLY.some((prefix) => id.startsWith(prefix))) return false;
  return ![...SAME_PIPELINES, ...SAME_OPERATIONS].some((ids) => ids.test(id));
}
