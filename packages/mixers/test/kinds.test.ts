/** Every kind with a state gives the numbers of the reference and obeys every law. */
import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { webgpu } from '@mamba/webgpu';
import { defineMixers } from '../src/index.ts';

defineMixers();
/** The number of tokens of a sequence, which is not drawn at random. */
const stateDeviation = { reach: 0 };
const kinds = [
  { config: { kind: 'lstm', dModel: 10, dHidden: 7 } },
  { config: { kind: 'gru', dModel: 10, dHidden: 7, bias: false } },
  { config: { kind: 's4d', dModel: 10, dState: 3 } },
  {
    name: 's4d-real',
    config: { kind: 's4d', dModel: 10, dState: 3, initialisation: 'real', discretization: 'bilinear' },
  },
  { config: { kind: 'linear-attention', dModel: 10, heads: 2 } },
  { config: { kind: 'performer', dModel: 10, heads: 2, features: 7, seed: 3 } },
  { config: { kind: 'retention', dModel: 10, heads: 2, headDim: 4, valueDim: 3 } },
  { config: { kind: 'low-rank', dModel: 10, heads: 2, rank: 3 }, stateDeviation },
  { config: { kind: 'sliding-window', dModel: 10, heads: 2, window: 4 }, stateDeviation },
  {
    name: 'sliding-window-global',
    config: { kind: 'sliding-window', dModel: 10, heads: 2, window: 3, globalTokens: 2 },
    stateDeviation,
  },
] as const;
describeConformance(reference(), { scope: [], kinds });
describeConformance(cpu(), { scope: [], kinds });
// On webgpu the golden cases hold every system to its numbers and gradients. Laws of models take long on a GPU in
// software, and what kinds are composed of has its own there, so only the kind that no other one resembles runs.
describeConformance(webgpu(), { scope: [], kinds: [{ config: { kind: 's4d', dModel: 10, dState: 3 } }] });
