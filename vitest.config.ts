import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long, the longest first: one of them would else run alone at the end, beside idle cores. */
const LONG = [
  'packages/webgpu/test/conformance.test.ts',
  'packages/webgpu/test/browser.test.ts',
  'apps/playground/test/playground.test.ts',
  'scripts/publish/release.test.mjs',
  'packages/cpu/test/browser.test.ts',
  'apps/bench/src/runner/runner.test.ts',
  'packages/cpu/test/threads.test.ts',
  'apps/docs/test/samples.test.ts',
  'packages/webgpu/test/linear-variants.test.ts',
  'apps/bench/src/cli/kernels.test.ts',
  'packages/lm/test/cli.test.ts',
  'packages/lm/test/serving.test.ts',
  'packages/lm/test/serving-processes.test.ts',
  'packages/webgpu/test/scan-backward-variants.test.ts',
  'packages/cpu/test/engines.test.ts',
  'packages/webgpu/test/decode-variants.test.ts',
  'apps/bench/test/page.test.ts',
  'packages/webgpu/test/scan-variants.test.ts',
  'packages/conformance/test/cli.test.ts',
  'packages/cpu/test/conformance.test.ts',
  'packages/mixers/test/golden.test.ts',
  'packages/conformance/src/conformance.test.ts',
  'packages/webgpu/test/attention-variants.test.ts',
  'packages/webgpu/test/attention-matrix.test.ts',
  'apps/bench/src/cli/program.test.ts',
  'packages/mixers/test/kinds.test.ts',
  'packages/conformance/test/mutants.test.ts',
  'packages/lm/test/generate-options.test.ts',
  'scripts/publish/types.test.mjs',
  'packages/cpu/test/accuracy.test.ts',
  'packages/webgpu/test/model.test.ts',
  'packages/webgpu/test/blocks.test.ts',
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((file) => moduleId.endsWith(file));
      return at < 0 ? LONG.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    // A worker a core: the runner's default leaves one core to itself, which halves the speed of a machine with two. A
    // third worker on two cores gained nothing.
    maxWorkers: '100%',
    sequence: { sequencer: LongestFirst },
    projects: [
      'packages/*',
      'apps/*',
      'examples/*',
      {
        test: {
          name: 'scripts',
          include: ['scripts/**/*.test.mjs'],
          // Long enough for a busy machine: it catches what hangs, and measures nothing.
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
});
