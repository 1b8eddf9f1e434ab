import { SECTIONS } from '@mamba/conformance';
import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';

// The engine chooses the build; test/engines.test.ts tests the others.
describeConformance(cpu({ threads: 1 }), { name: 'cpu, 1 thread' });
// test/threads.test.ts checks that any number of threads gives the same bits, so stored weights need not be measured
// twice.
describeConformance(cpu({ threads: 3 }), {
  name: 'cpu, 3 threads',
  scope: SECTIONS.filter((section) => section !== 'weights'),
});
