import { describeConformance } from '@mamba/conformance/vitest';
import { gaps } from './gaps.ts';
import { software } from './software.ts';

describeConformance(software(), { gaps });
