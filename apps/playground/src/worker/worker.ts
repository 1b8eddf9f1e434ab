// Everything that computes: the language models, and delta. The page only shows.
import type { Backend, BackendProvider } from '@mamba/core';
import { cpu } from '@mamba/cpu';
import { openCheckpoint } from '@mamba/lm';
import { serveLanguageModels, type WorkerPort } from '@mamba/lm/worker';
import { webgpu } from '@mamba/webgpu';
import { Deltas } from '../selection/deltas.ts';
import type { BackendName, BackendReport, Calls, DeltaRequest, Request, Response } from './protocol.ts';

const scope = self as unknown as WorkerPort;
const providers: readonly BackendProvider[] = [webgpu(), cpu()];
const deltas = new Map<number, Promise<Deltas>>();
let backend: Backend | undefined;

const methods: { readonly [K in keyof Calls]: (argument: Calls[K][0]) => Calls[K][1] | Promise<Calls[K][1]> } = {
  probe: () => Promise.all(providers.map(report)),
  serve({ backend: name, port }) {
    const provider = providers.find((candidate) => candidate.name === name)!;
    // Delta is computed on the very backend that the models are on.
    const create = async (): Promise<Backend> => {
      backend = await provider.create();
      return backend;
    };
    serveLanguageModels(port as WorkerPort, [{ name, create }]);
    return undefined;
  },
  async deltas(request) {
    if (!deltas.has(request.model)) deltas.set(request.model, loadDeltas(request));
    try {
      return await (await deltas.get(request.model)!).of(request.inputs);
    } catch (error) {
      release(request.model);
      throw error;
    }
  },
  release(model) {
    release(model);
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

async function loadDeltas({ location }: DeltaRequest): Promise<Deltas> {
  const checkpoint = await openCheckpoint(location);
  try {
    return await Deltas.load(backend!, checkpoint.config, checkpoint.source);
  } finally {
    await checkpoint.close();
  }
}

function release(model: number): void {
  void deltas.get(model)?.then(
    (loaded) => loaded.dispose(),
    () => {},
  );
  deltas.delete(model);
}
