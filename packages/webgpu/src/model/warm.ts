import { shareBuffers } from '../blocks/buffers.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { largest } from '../operations/argmax.ts';
import { draw } from '../operations/sample.ts';
import { chunksOf } from './chunk.ts';
import type { Fused, Pass } from './pass.ts';
import { distinctBlocks } from './refusal.ts';
import { allocateState } from './state.ts';

/** Lengths that stand for those of prompts, since pipelines differ by the number of rows. A whole chunk joins them. */
const WARM_LENGTHS = [2, 16, 64, 128, 512];

/** Compiles the pipelines of prompts, a step and a greedy generation. Those of sampling are left to the first call. */
export function warm(model: Fused, prefill: (model: Fused, pass: Pass) => void): Promise<void> {
  const { kernels, config, blocks, slots, stepper } = model;
  const { gpu } = kernels;
  const distinct = distinctBlocks(config).map((block) => config.blocks.indexOf(block));
  return gpu.prepare(() =>
    gpu.allocating((allocator) => {
      const state = allocateState(allocator, slots, 1);
      const memory = wholeRange(allocator.scratch(16, 'unused'));
      // Blocks of the same config need the same pipelines.
      const few = { ...model, blocks: distinct.map((index) => blocks[index]!) };
      const states = distinct.map((index) => state[index]!);
      for (const length of new Set([...WARM_LENGTHS, chunksOf(kernels, config)(1, 'last')])) {
        const buffers = shareBuffers(
          few.blocks.map((block) => block.prefillBuffers(length)),
          ({ bytes, label }) => allocator.scratch(bytes, label),
        );
        for (const before of [undefined, states])
          prefill(few, {
            batch: 1,
            length,
            ids: memory,
            resets: undefined,
            residual: memory,
            buffers,
            before,
            state: states,
            hiddenStates: undefined,
          });
      }
      stepper.warm(state);
      warmChoices(gpu, config.vocabSize);
    }),
  );
}

/** Compiles the pipelines that choose tokens, where it is called in `prepare`. */
export function warmChoices(gpu: Gpu, vocab: number): void {
  const memory = gpu.unusedOutput;
  const choice = { logits: memory, rows: 1, vocab, ids: memory, idRow: 1, idOffset: 0 };
  largest(gpu, { ...choice, checked: false });
  const chosen = { ...choice, checked: true, fed: memory };
  largest(gpu, chosen);
  const sampling = { temperature: 1, topK: vocab, topP: 1, minP: 0 };
  draw(gpu, chosen, { ...sampling, uniform: memory, uniformRow: 1, uniformOffset: 0 });
}
