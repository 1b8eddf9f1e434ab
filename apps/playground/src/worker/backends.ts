import type { Backend, BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import type { BackendName, BackendReport } from './protocol.ts';

const providers: Readonly<Record<BackendName, () => Promise<BackendProvider>>> = {
  // Its shaders are most of what there is to load, and a page that computes on the CPU does without them.
  webgpu: async () => (await import('@mamba/webgpu')).webgpu(),
  cpu: async () => cpu(),
};

export function providerOf(backend: BackendName): Promise<BackendProvider> {
  return providers[backend]();
}

/** @throws MambaError `unavailable` */
export async function createBackend(backend: BackendName): Promise<Backend> {
  return (await providerOf(backend)).create();
}

/** Finds the backends that run here, and the reasons why others do not. */
export function reportBackends(): Promise<readonly BackendReport[]> {
  return Promise.all((Object.keys(providers) as BackendName[]).map(report));
}

async function report(name: BackendName): Promise<BackendReport> {
  try {
    const tried = await createBackend(name);
    const { description: words, details } = tried;
    await tried.dispose();
    return { name, available: true, software: details.software === true, words };
  } catch (error) {
    return { name, available: false, software: false, words: error instanceof Error ? error.message : String(error) };
  }
}
