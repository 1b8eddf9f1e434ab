import { describeConformance } from '@mamba/conformance/vitest';
import { globals } from 'webgpu';
import { webgpu } from '../src/index.ts';
import { compileLazily } from './compile-lazily.ts';

compileLazily(globals);
// This run has the limits and features of the adapter. browser.test.ts runs most checks with those of every browser.
describeConformance(webgpu());
