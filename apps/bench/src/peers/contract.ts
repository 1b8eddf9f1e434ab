import type { ModelConfig, ParameterSource } from '@mamba/core';

/** Other projects' software that runs the same model, on the same weights. */
export interface Peer {
  readonly name: string;
  /** In words: `llama.cpp, native (node-llama-cpp)`. */
  readonly description: string;
  /** What `mamba-bench peers install` puts into the peer's folder: name and version. */
  readonly packages: Readonly<Record<string, string>>;
  /** How weights come to it. */
  readonly formats: readonly Format[];
  /** @throws Error with the reason where it cannot run here. */
  open(task: PeerTask): Promise<PeerSession>;
}

/** GGUF's names of how matrices are stored. */
export type Format = 'F32' | 'F16' | 'Q8_0';

export interface PeerTask {
  /** Where its packages are: a folder with node_modules. */
  readonly folder: string;
  /** The weights. */
  readonly gguf: string;
  readonly config: ModelConfig;
  /** The same weights, for who reads no GGUF. */
  readonly source: ParameterSource;
  readonly threads: number;
  /** The prompt's tokens, each the token of one letter; and the letters. */
  readonly prompt: readonly number[];
  readonly text: string;
  /** Tokens of a decode. */
  readonly decode: number;
}

export interface PeerSession {
  /** How it is driven, in words. */
  readonly how: string;
  /** Natural logarithms of probabilities after the first so many tokens of the prompt: of all tokens, or of the likeliest. */
  logProbs(length: number): Promise<ReadonlyMap<number, number>>;
  /** The prompt. */
  prefill(): Promise<void>;
  /** From one token on. */
  decode(): Promise<void>;
  close(): Promise<void>;
}
