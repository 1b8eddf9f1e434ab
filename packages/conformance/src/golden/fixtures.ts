/** The golden files of the repository; the package that is published goes without their 12 MB. */
import { checkpointStore, openSafetensors } from '@mamba/checkpoint';
import type { Check } from '../runner/check.ts';
import { goldenChecks } from './check-golden.ts';
import { checkpointCheck } from './checkpoint.ts';
import { damaged } from './golden-file.ts';
import { storedWeightsChecks } from './stored-weights.ts';

/** Folder of the fixtures; a file address in Node, an http one in a browser that serves this package. */
export const FIXTURES = new URL('../../fixtures/', import.meta.url);

const SCANS = 'scan-golden';
const CHECKPOINTS = [
  'mamba-tiny',
  'mamba-tiny-biased',
  'mamba-tiny-f16',
  'mamba-tiny-bf16',
  'falcon-mamba-tiny',
  'kjv-mamba',
  'induction-heads',
] as const;

/** Whether the folder beside this package's code is there: in the repository it is. */
export async function haveFixtures(): Promise<boolean> {
  const source = await checkpointStore(FIXTURES).open(`${SCANS}.safetensors`);
  await source?.close();
  return source !== undefined;
}

/** Stands for a section whose files are not there. */
export function withoutFixtures(section: string): Check {
  const skipped = `the golden files are not in the package: name the folder, or its address, with \`fixtures\` (--fixtures)`;
  return { id: section, source: section, case: section, run: async () => ({ skipped }) };
}

/** `fixtures` is where they are, if not in this package: wherever a test server has them. */
export async function fixtureGoldenChecks(fixtures: URL = FIXTURES): Promise<readonly Check[]> {
  const store = checkpointStore(fixtures);
  const open = async () => {
    const source = await store.open(`${SCANS}.safetensors`);
    if (source === undefined)
      throw damaged(store.name, `no ${SCANS}.safetensors`, 'the fixtures of @mamba/conformance');
    return openSafetensors(source);
  };
  return goldenChecks(open, `${SCANS}.safetensors`, `golden/${SCANS}`);
}

export function fixtureCheckpointChecks(fixtures: URL = FIXTURES): readonly Check[] {
  return CHECKPOINTS.map((name) => checkpointCheck(new URL(`${name}/`, fixtures), name, `checkpoint/${name}`));
}

/** The trained checkpoint, its matrices stored in every way. */
export function fixtureWeightsChecks(fixtures: URL = FIXTURES): readonly Check[] {
  return storedWeightsChecks(new URL('kjv-mamba/', fixtures), 'kjv-mamba');
}
