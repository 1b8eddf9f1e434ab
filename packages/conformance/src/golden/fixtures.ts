/** Checks by the golden files of the repository. The published package does not contain these 12 MB. */
import { checkpointStore, openSafetensors } from '@mamba/checkpoint';
import type { Check } from '../runner/check.ts';
import { goldenChecks } from './check-golden.ts';
import { checkpointCheck, gradientsCheck } from './checkpoint.ts';
import { damaged } from './golden-file.ts';
import { storedWeightsChecks } from './stored-weights.ts';

/** The folder of the fixtures: a file URL in Node, an http URL in a browser. */
const FIXTURES = new URL('../../fixtures/', import.meta.url);

/** The golden files of operations. */
const OPERATIONS = ['scan-golden', 'train-golden'] as const;
const CHECKPOINTS = [
  'mamba-tiny',
  'mamba-tiny-biased',
  'mamba-tiny-f16',
  'mamba-tiny-bf16',
  'falcon-mamba-tiny',
  'kjv-mamba',
  'induction-heads',
  'mamba2-gradients',
  'llama-gradients',
  'gpt2-gradients',
  'gpt-neox-gradients',
] as const;

/** Those that have the gradients of their loss. */
const GRADIENT_CHECKPOINTS = [
  'mamba-gradients',
  'falcon-mamba-gradients',
  'mamba2-gradients',
  'llama-gradients',
  'gpt2-gradients',
  'gpt-neox-gradients',
] as const;

/** Whether the folder of the fixtures exists, as in the repository. */
export async function haveFixtures(): Promise<boolean> {
  const source = await checkpointStore(FIXTURES).open(`${OPERATIONS[0]}.safetensors`);
  await source?.close();
  return source !== undefined;
}

/** A skipped check in place of a section whose files are not there. */
export function withoutFixtures(section: string): Check {
  const skipped = `the golden files are not in the package: name the folder, or its address, with \`fixtures\` (--fixtures)`;
  return { id: section, source: section, case: section, run: async () => ({ skipped }) };
}

/**
 * @param fixtures The folder of the fixtures, if it is not in this package: the address of a test server, for example.
 */
export async function fixtureGoldenChecks(fixtures: URL = FIXTURES): Promise<readonly Check[]> {
  const store = checkpointStore(fixtures);
  const checks = OPERATIONS.map((name) => {
    const open = async () => {
      const source = await store.open(`${name}.safetensors`);
      if (source === undefined)
        throw damaged(store.name, `no ${name}.safetensors`, 'the fixtures of @mamba/conformance');
      return openSafetensors(source);
    };
    return goldenChecks(open, `${name}.safetensors`, `golden/${name}`);
  });
  return (await Promise.all(checks)).flat();
}

export function fixtureCheckpointChecks(fixtures: URL = FIXTURES): readonly Check[] {
  const folder = (name: string): URL => new URL(`${name}/`, fixtures);
  return [
    ...CHECKPOINTS.map((name) => checkpointCheck(folder(name), name, `checkpoint/${name}`)),
    ...GRADIENT_CHECKPOINTS.map((name) => gradientsCheck(folder(name), name, `checkpoint/${name}/gradients`)),
  ];
}

/** Checks of the trained checkpoint with its matrices stored in each dtype. */
export function fixtureWeightsChecks(fixtures: URL = FIXTURES): readonly Check[] {
  return storedWeightsChecks(new URL('kjv-mamba/', fixtures), 'kjv-mamba');
}
