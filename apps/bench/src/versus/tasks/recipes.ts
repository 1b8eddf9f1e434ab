/** What models learn, and how: the same recipe for every model on every machine. */
import { inductionHeads, selectiveCopying, type Task } from '@mamba/train';
import type { TaskName, TaskRecipe } from '../../schema/versus.ts';

/** The tasks, which ask for one of 15 and of 14 symbols. */
export const TASKS: Readonly<Record<Exclude<TaskName, 'language'>, Task>> = {
  'induction-heads': inductionHeads(),
  'selective-copying': selectiveCopying({ tokens: 4 }),
};

/** No recipe was chosen by what it does with this test. */
const COMMON = { seed: 1, testSeed: 20_261_127 } as const;

export const RECIPES: readonly TaskRecipe[] = [
  {
    ...COMMON,
    ...{ task: 'induction-heads', layers: 2, dModel: 64, feedForward: false },
    ...{ batch: 32, lengths: [16, 32, 64], steps: 600, peak: 3e-3, warmup: 60, weightDecay: 0 },
    ...{ testLengths: [64, 256, 1024, 4096], sequences: 32 },
  },
  {
    ...COMMON,
    ...{ task: 'selective-copying', layers: 2, dModel: 64, feedForward: false },
    ...{ batch: 32, lengths: [64], steps: 1200, peak: 3e-3, warmup: 100, weightDecay: 0 },
    ...{ testLengths: [64, 128, 256, 512, 1024], sequences: 32 },
  },
  {
    ...COMMON,
    ...{ task: 'language', layers: 4, dModel: 128, feedForward: true },
    ...{ batch: 32, lengths: [128], steps: 500, peak: 3e-3, warmup: 50, weightDecay: 0.1 },
    ...{ testLengths: [128, 2048], sequences: 512 },
  },
];

/** The same with models, sequences and steps for a rehearsal: nothing is learnt. */
export const QUICK_RECIPES: readonly TaskRecipe[] = RECIPES.map((recipe) => ({
  ...recipe,
  ...{ dModel: 32, batch: 4, lengths: [16], steps: 12, warmup: 4, testLengths: [16, 32], sequences: 8 },
}));
