// The worker does all computations, and the page only shows results.
import type { BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { serveLanguageModels, type WorkerPort } from '@mamba/lm/worker';
import { webgpu } from '@mamba/webgpu';
import type { BackendName, BackendReport, Calls, Request, Response } from './protocol.ts';

const scope = self as unknown as WorkerPort;
const providers: readonly BackendProvider[] = [webgpu(), cpu()];

const methods: { readonly [K in keyof Calls]: (argument: Calls[K][0]) => Calls[K][1] | Promise<Calls[K][1]> } = {
  probe: () => Promise.all(providers.map(report)),
  serve({ backend, port }) {
    serveLanguageModels(
      port as WorkerPort,
      providers.filter(({ name }) => name === backend),
    );
    return undefined;
  },
};

scope.addEventListener('message', (event) => void answer((event as MessageEvent<Request>).data));

async function answer({ id, method, argument }: Request): Promise<void> {
  try {
    const value = await (methods[method] as (argument: unknown) => unknown)(argument);
    send({ id, value });
  } catch (error) {
    send({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

function send(response: Response): void {
  scope.postMessage(response, []);
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
