import type { WorkerLanguageModel } from '@mamba/lm/worker';
import type { Branch } from './branch.ts';
import { type GenerateOptions, write } from './writing.ts';

/** Branches that go on at once from one state. */
const ENDINGS = 2;
/** The temperature of endings where none or 0 is given, at which they would be alike. */
const TEMPERATURE = 0.8;

/** Saves a branch's state as a file, and opens it as branches that go on by themselves. */
export async function openEndings(
  lm: WorkerLanguageModel,
  parent: Branch,
  { firstId, nameOf }: { readonly firstId: number; readonly nameOf: (id: number) => string },
): Promise<{ readonly branches: readonly Branch[]; readonly file: Uint8Array }> {
  const file = await parent.saved();
  const branches: Branch[] = [];
  for (let id = firstId; id < firstId + ENDINGS; id++)
    branches.push(parent.continued(id, nameOf(id), await lm.loadSession(file)));
  return { branches, file };
}

/**
 * Has all of these branches go on at once, each from a seed of its own.
 * @param onChange Called after each change, with the tokens that all of them have written.
 * @returns the tokens that all of them have written.
 */
export async function writeEndings(
  lm: WorkerLanguageModel,
  branches: readonly Branch[],
  options: GenerateOptions,
  onChange: (tokens: number) => void,
): Promise<number> {
  const first = options.seed ?? 1;
  const written = branches.map(() => 0);
  const sum = (): number => written.reduce((all, tokens) => all + tokens, 0);
  await Promise.all(
    branches.map((branch, index) =>
      write(
        lm,
        branch,
        { ...options, temperature: options.temperature || TEMPERATURE, seed: first + index },
        {
          onToken: (tokens) => {
            written[index] = tokens;
          },
          onChange: () => onChange(sum()),
        },
      ),
    ),
  );
  return sum();
}
