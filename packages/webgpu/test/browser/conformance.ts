// The page of the browser's conformance run: the test drives it through `conformance`.
import { type CheckResult, runConformance } from '@mamba/conformance';
import { webgpu } from '../../src/index.ts';
import { compileLazily } from '../compile-lazily.ts';
import { gaps } from '../gaps.ts';
import { inBrowser } from './selection.ts';

export interface PageReport {
  readonly description: string;
  readonly checks: readonly CheckResult[];
  /** Tensors and bytes alive at the end. */
  readonly left: { readonly tensors: number; readonly bytes: number };
}

declare global {
  interface Window {
    conformance(): Promise<PageReport>;
  }
}

compileLazily(globalThis);

window.conformance = async () => {
  // The backend takes what every browser grants, and no subgroups; Node's run takes all that the adapter has.
  const backend = await webgpu({ defaultLimits: true, subgroups: false }).create();
  const { checks } = await runConformance(backend, { gaps, filter: inBrowser, fixtures: new URL('/', location.href) });
  const { tensors, bytes } = backend.memory();
  await backend.dispose();
  return { description: backend.description, checks, left: { tensors, bytes } };
};
