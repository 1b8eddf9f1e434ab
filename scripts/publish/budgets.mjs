/** The most bytes that packages and pages may take. Raise a figure only in the change that says what it is spent on. */

/** Bytes of each packed tarball, by the package's short name. */
export const PACKED = {
  checkpoint: 235_000,
  conformance: 265_000,
  core: 198_500,
  cpu: 490_000,
  lm: 350_000,
  mixers: 63_000,
  reference: 59_000,
  train: 144_000,
  webgpu: 470_000,
};

/** Compressed bytes that a browser downloads to run a program, minified by esbuild. */
export const PAGES = {
  'a backend on the CPU': {
    program: "import { cpu } from '@mamba/cpu'; globalThis.backend = await cpu().create();",
    bytes: 111_000,
  },
  'a backend on WebGPU': {
    program: "import { webgpu } from '@mamba/webgpu'; globalThis.backend = await webgpu().create();",
    bytes: 145_000,
  },
  'a language model on the CPU': {
    program: `import { cpu } from '@mamba/cpu';
import { loadModel } from '@mamba/lm';
const lm = await loadModel(await cpu().create(), '/model/');
for await (const { text } of lm.generate({ prompt: 'In the beginning' })) document.body.append(text);`,
    bytes: 222_000,
  },
};

/** Says by how much something is larger than it may be, and what to do; undefined where it is within its budget. */
export function overBudget(what, bytes, budget) {
  if (budget === undefined) return `${what} has no budget: add one of ${bytes} bytes and some to budgets.mjs`;
  if (bytes <= budget) return undefined;
  return (
    `${what} takes ${bytes} bytes, ${bytes - budget} more than its budget of ${budget}. Look at what came in ` +
    "(`npm pack --dry-run` lists files, esbuild's `metafile` the inputs of a bundle) and leave it out, load it when " +
    'it is used, or raise the budget in scripts/publish/budgets.mjs and say why in the commit'
  );
}
