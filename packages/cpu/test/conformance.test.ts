import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';

describeConformance(cpu());
