import { SECTIONS } from '@mamba/conformance';
import { describeConformance } from '@mamba/conformance/vitest';
import { cpu } from '@mamba/cpu';

// What this engine takes by default is the build; others are tested by test/engines.test.ts.
describeConformance(cpu({ threads: 1 }), { name: 'cpu, 1 thread' });
// test/threads.test.ts holds that any number of threads gives the same bits: what stored weights cost need not be
// measured twice.
describeConformance(cpu({ threads: 3 }), {
  name: 'cpu, 3 threads',
  scope: SECTIONS.filter((section) => section !== 'weights'),
});
