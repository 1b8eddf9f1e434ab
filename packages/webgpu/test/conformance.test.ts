import { describeConformance } from '@mamba/conformance/vitest';
import { webgpu } from '../src/index.ts';
import { gaps } from './gaps.ts';

describeConformance(webgpu(), { gaps });

describeConformance(webgpu({ defaultLimits: true, subgroups: false }), {
  name: 'webgpu with the limits of every browser and no subgroups',
  scope: ['cases', 'golden'],
});
