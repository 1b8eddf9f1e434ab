import { describeConformance } from '@mamba/conformance/vitest';
import { gaps } from './gaps.ts';
import { software } from './software.ts';

describeConformance(software(), { gaps });

describeConformance(software({ defaultLimits: true, subgroups: false }), {
  name: 'webgpu with the limits of every browser and no subgroups',
  scope: ['golden', 'checkpoints'],
});
