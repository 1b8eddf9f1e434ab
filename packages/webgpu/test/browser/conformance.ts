// The page of the browser's conformance run: the test drives it through `conformance`.
import { type CheckResult, runConformance } from '@mamba/conformance';
import { webgpu } from '../../src/index.ts';
import { compileLazily } from '../compile-lazily.ts';
import { OF_EVERY_BROWSER } from './options.ts';

export interface PageReport {
  readonly description: string;
  readonly checks: readonly CheckResult[];
  /** The labels of the pipelines that were compiled. */
  readonly pipelines: readonly string[];
  /** Tensors and bytes alive at the end. */
  readonly left: { readonly tensors: number; readonly bytes: number };
}

declare global {
  interface Window {
    /** Runs the checks with these ids. */
    conformance(ids: readonly string[]): Promise<PageReport>;
  }
}

compileLazily(globalThis);
const pipelines: string[] = [];
const compile = GPUDevice.prototype.createComputePipeline;
GPUDevice.prototype.createComputePipeline = function (descriptor) {
  pipelines.push(descriptor.label ?? '');
  return compile.call(this, descriptor);
};

window.conformance = async (ids) => {
  const backend = await webgpu(OF_EVERY_BROWSER).create();
  const selected = new Set(ids);
  const { checks } = await runConformance(backend, {
    filter: (id) => selected.has(id),
    fixtures: new URL('/', location.href),
  });
  const { tensors, bytes } = backend.memory();
  await backend.dispose();
  return { description: backend.description, checks, pipelines, left: { tensors, bytes } };
};
