import { describeConformance } from '@mamba/conformance/vitest';
import { mine } from '../src/index.ts';

describeConformance(mine());
