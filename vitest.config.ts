import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take long, the longest first. Their projects run first, so that none runs alone at the end. */
const LONG = [
  'packages/webgpu/test/conformance.test.ts',
  'packages/webgpu/test/browser.test.ts',
  'apps/playground/test/playground.test.ts',
  'apps/playground/test/showcase.test.ts',
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
  'packages/conformance/test/template.test.ts',
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
  'packages/webgpu/test/attention-block.test.ts',
];

/**
 * The files of a project follow one another, the longest first. A worker that does not isolate files keeps its loaded
 * modules only where the next file is of the same project; for any other, vitest starts a new worker.
 */
class ByProject extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((file) => moduleId.endsWith(file));
      return at < 0 ? LONG.length : at;
    };
    const sorted = (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
    const projects = [...new Set(sorted.map(({ project }) => project.name))];
    return sorted.toSorted((a, b) => projects.indexOf(a.project.name) - projects.indexOf(b.project.name));
  }
}

export default defineConfig({
  test: {
    // A worker a core: the runner's default leaves one core to itself, which halves the speed of a machine with two. A
    // third worker on two cores gained nothing.
    maxWorkers: '100%',
    sequence: { sequencer: ByProject },
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
