/** Every kind gives the numbers of the reference and obeys every law, on every backend. */
import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';
import { reference } from '@mamba/reference';
import { webgpu } from '@mamba/webgpu';
import { defineMixers } from '../src/index.ts';

defineMixers();
const kinds = [
  { config: { kind: 'lstm', dModel: 10, dHidden: 7 } },
  { config: { kind: 'gru', dModel: 10, dHidden: 7, bias: false } },
  { config: { kind: 's4d', dModel: 10, dState: 3 } },
  {
    name: 's4d-real',
    config: { kind: 's4d', dModel: 10, dState: 3, initialisation: 'real', discretization: 'bilinear' },
  },
] as const;
/** Kinds that Mamba-2's scan computes, which webgpu does not have yet. */
const byScan = [
  { config: { kind: 'linear-attention', dModel: 10, heads: 2 } },
  { config: { kind: 'performer', dModel: 10, heads: 2, features: 7, seed: 3 } },
] as const;
describeConformance(reference(), { scope: [], kinds: [...kinds, ...byScan] });
describeConformance(cpu(), { scope: [], kinds: [...kinds, ...byScan] });
describeConformance(webgpu(), { scope: [], kinds });
