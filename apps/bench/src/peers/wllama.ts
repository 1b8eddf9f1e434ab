import { join } from 'node:path';
import type { launchChromium } from '@mamba/software-gpu';
import type { Peer } from './contract.ts';
import { serveFiles } from './server.ts';
import { LETTERS } from './vocabulary.ts';

type Browser = Awaited<ReturnType<typeof launchChromium>>;
type Page = Awaited<ReturnType<Browser['newPage']>>;

/** The part of wllama that is used, in the page. */
interface Engine {
  loadModel(blobs: readonly Blob[], options: object): Promise<void>;
  getNumThreads(): number;
  createCompletion(options: object): Promise<{
    readonly choices: readonly {
      readonly logprobs?: {
        readonly content?: readonly { readonly top_logprobs: readonly { id: number; logprob: number }[] }[];
      };
    }[];
    readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
  }>;
}
type EnginePage = typeof globalThis & { engine?: Engine; Wllama: new (paths: object, config: object) => Engine };

const PAGE = `<!doctype html><title>wllama</title><script type="module">
  import { Wllama } from './wllama.js';
  globalThis.Wllama = Wllama;
</script>`;

const GREEDY = { temperature: 0, temp: 0, top_k: 1, ignore_eos: true, stream: false, cache_prompt: false };

export const wllama: Peer = {
  name: 'wllama',
  description: 'llama.cpp in WebAssembly, @wllama/wllama 3.8.1 in headless Chromium 147',
  packages: { '@wllama/wllama': '3.8.1' },
  formats: ['F32', 'F16', 'Q8_0'],
  async open({ folder, gguf, threads, text, decode }) {
    const esm = join(folder, 'node_modules', '@wllama', 'wllama', 'esm');
    const server = await serveFiles({
      '/': { text: PAGE },
      '/wllama.js': join(esm, 'index.js'),
      '/wllama.wasm': join(esm, 'wasm', 'wllama.wasm'),
      '/model.gguf': gguf,
    });
    let browser: Browser | undefined;
    const close = async (): Promise<void> => {
      await browser?.close();
      await server.close();
    };
    try {
      const { launchChromium } = await import('@mamba/software-gpu');
      // The run handles Ctrl-C.
      browser = await launchChromium([], { signals: false });
      const page = await browser.newPage();
      await page.goto(server.url);
      const used = await page.evaluate(loadInPage, { threads, context: text.length + decode + 16, batch: text.length });
      let turn = 0;
      /** The prompt with another first letter each time, so that no cache of the last one can be used. */
      const fresh = (): string => LETTERS[turn++ % LETTERS.length]! + text.slice(1);
      return {
        how: `${used} ${used === 1 ? 'thread' : 'threads'}, the prompt in one batch of ${text.length}, greedy, warmed up, times by the wall`,
        logProbs: (length) => logProbs(page, text.slice(0, length)),
        async prefill() {
          await complete(page, fresh(), 1, text.length);
        },
        async decode() {
          await complete(page, fresh()[0]!, decode, 1);
        },
        close,
      };
    } catch (error) {
      await close();
      throw error;
    }
  },
};

/** Runs in the page. */
async function loadInPage(options: { threads: number; context: number; batch: number }): Promise<number> {
  const engine = new (globalThis as EnginePage).Wllama({ default: '/wllama.wasm' }, { suppressNativeLog: true });
  const blob = await (await fetch('/model.gguf')).blob();
  await engine.loadModel([blob], {
    n_ctx: options.context,
    n_batch: options.batch,
    n_ubatch: options.batch,
    n_threads: options.threads,
    n_gpu_layers: 0,
    n_parallel: 1,
  });
  (globalThis as EnginePage).engine = engine;
  return engine.getNumThreads();
}

async function complete(page: Page, prompt: string, tokens: number, length: number): Promise<void> {
  const usage = await page.evaluate(
    async (options) => (await (globalThis as EnginePage).engine!.createCompletion(options)).usage,
    { ...GREEDY, prompt, max_tokens: tokens },
  );
  if (usage.prompt_tokens !== length || usage.completion_tokens !== tokens)
    throw new Error(
      `wllama took ${usage.prompt_tokens} and gave ${usage.completion_tokens} tokens, not ${length} and ${tokens}`,
    );
}

async function logProbs(page: Page, prompt: string): Promise<ReadonlyMap<number, number>> {
  const choice = await page.evaluate(
    async (options) => (await (globalThis as EnginePage).engine!.createCompletion(options)).choices[0],
    { ...GREEDY, prompt, max_tokens: 1, logprobs: 20, n_probs: 20 },
  );
  const likeliest = choice?.logprobs?.content?.[0]?.top_logprobs;
  if (likeliest === undefined || likeliest.length === 0) throw new Error('wllama gave no probabilities');
  return new Map(likeliest.map(({ id, logprob }) => [id, logprob]));
}
