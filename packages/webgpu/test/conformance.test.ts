import { describeConformance } from '@mamba/conformance/vitest';
import { webgpu } from '../src/index.ts';
import { gaps } from './gaps.ts';

// With the limits and features of the adapter; browser.test.ts runs the same suite with those of every browser.
describeConformance(webgpu(), { gaps });
