import { reference } from '@mamba/reference';
import { describeConformance } from './vitest.ts';

describeConformance(reference());
