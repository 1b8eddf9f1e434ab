import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';

// What this engine takes by default is the build; others are tested by test/engines.test.ts.
describeConformance(cpu({ threads: 1 }), { name: 'cpu, 1 thread' });
describeConformance(cpu({ threads: 3 }), { name: 'cpu, 3 threads' });
