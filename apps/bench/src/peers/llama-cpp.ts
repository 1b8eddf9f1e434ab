import type { Peer } from './contract.ts';
import { importFrom } from './folder.ts';

/** The part of node-llama-cpp that is used. */
interface NodeLlamaCpp {
  readonly LlamaLogLevel: { readonly error: string };
  getLlama(options: object): Promise<{
    loadModel(options: object): Promise<{ createContext(options: object): Promise<{ getSequence(): Sequence }> }>;
    dispose(): Promise<void>;
  }>;
}

interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: readonly number[], options: object): AsyncIterable<number>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  controlledEvaluate(
    input: readonly unknown[],
  ): Promise<readonly ({ readonly next: { readonly logits?: ReadonlyMap<number, number> } } | undefined)[]>;
}

export const llamaCpp: Peer = {
  name: 'llama.cpp',
  description: 'llama.cpp, native, prebuilt by node-llama-cpp 3.22.1',
  packages: { 'node-llama-cpp': '3.22.1' },
  formats: ['F32', 'F16', 'Q8_0'],
  async open({ folder, gguf, threads, prompt, decode }) {
    const { getLlama, LlamaLogLevel } = await importFrom<NodeLlamaCpp>(folder, 'node-llama-cpp/dist/index.js');
    const llama = await getLlama({
      gpu: false,
      build: 'never',
      skipDownload: true,
      logLevel: LlamaLogLevel.error,
      maxThreads: threads,
    });
    try {
      const model = await llama.loadModel({ modelPath: gguf });
      const size = { contextSize: prompt.length + decode + 16, batchSize: prompt.length };
      const context = await model.createContext({ ...size, threads });
      const sequence = context.getSequence();
      return {
        how: `${threads} ${threads === 1 ? 'thread' : 'threads'}, the prompt in one batch of ${prompt.length}, greedy, no GPU, warmed up`,
        async logProbs(length) {
          await sequence.clearHistory();
          const ids = prompt.slice(0, length);
          const last = [ids.at(-1), { generateNext: { logits: true } }];
          const outputs = await sequence.controlledEvaluate([...ids.slice(0, -1), last]);
          const logits = outputs.at(-1)?.next.logits;
          if (logits === undefined) throw new Error('node-llama-cpp gave no logits');
          return normalised(logits);
        },
        async prefill() {
          await sequence.clearHistory();
          await sequence.evaluateWithoutGeneratingNewTokens(prompt);
        },
        async decode() {
          await sequence.clearHistory();
          let count = 0;
          // The end of a text counts as a token like others, so that all peers generate as many.
          for await (const _ of sequence.evaluate([prompt[0]!], { temperature: 0, yieldEogToken: true })) {
            if (++count === decode) return;
          }
          throw new Error(`node-llama-cpp stopped after ${count} of ${decode} tokens`);
        },
        close: () => llama.dispose(),
      };
    } catch (error) {
      await llama.dispose();
      throw error;
    }
  },
};

/** The logarithm of the softmax. */
function normalised(logits: ReadonlyMap<number, number>): ReadonlyMap<number, number> {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of logits.values()) most = Math.max(most, value);
  let sum = 0;
  for (const value of logits.values()) sum += Math.exp(value - most);
  const shift = most + Math.log(sum);
  return new Map([...logits].map(([token, value]) => [token, value - shift]));
}
