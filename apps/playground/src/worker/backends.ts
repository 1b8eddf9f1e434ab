import type { Backend, BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { webgpu } from '@mamba/webgpu';
import type { BackendName, BackendReport } from './protocol.ts';

const providers: Readonly<Record<BackendName, BackendProvider>> = { webgpu: webgpu(), cpu: cpu() };

export function providerOf(backend: BackendName): BackendProvider {
  return providers[backend];
}

/** @throws MambaError `unavailable` */
export function createBackend(backend: BackendName): Promise<Backend> {
  return providers[backend].create();
}

/** Finds the backends that run here, and the reasons why others do not. */
export function reportBackends(): Promise<readonly BackendReport[]> {
  return Promise.all(Object.values(providers).map(report));
}

async function report(provider: BackendProvider): Promise<BackendReport> {
  const name = provider.name as BackendName;
  try {
    const tried = await provider.create();
    const { description: words, details } = tried;
    await tried.dispose();
    return { name, available: true, software: details.software === true, words };
  } catch (error) {
    return { name, available: false, software: false, words: error instanceof Error ? error.message : String(error) };
  }
}
