import type { ModelConfig, ParameterSource } from '@mamba/core';

/** Other projects' software that runs the same model, on the same weights. */
export interface Peer {
  readonly name: string;
  /** The peer in words: `llama.cpp, native (node-llama-cpp)`. */
  readonly description: string;
  /** The packages that `mamba-bench peers install` puts into the peer's folder, with their versions. */
  readonly packages: Readonly<Record<string, string>>;
  /** The formats of weights that the peer takes. */
  readonly formats: readonly Format[];
  /** @throws Error with the reason where it cannot run here. */
  open(task: PeerTask): Promise<PeerSession>;
}

/** Types of stored matrices, by GGUF's names. */
export type Format = 'F32' | 'F16' | 'Q8_0';

export interface PeerTask {
  /** The folder of the peer's packages, with node_modules. */
  readonly folder: string;
  /** The file of the weights. */
  readonly gguf: string;
  readonly config: ModelConfig;
  /** The same weights, for peers that read no GGUF. */
  readonly source: ParameterSource;
  readonly threads: number;
  /** The prompt's tokens, each the token of one letter; and the letters. */
  readonly prompt: readonly number[];
  readonly text: string;
  /** Tokens of a decode. */
  readonly decode: number;
}

export interface PeerSession {
  /** The way in which the peer is driven, in words. */
  readonly how: string;
  /**
   * Natural logarithms of the probabilities after the first `length` tokens of the prompt: of all tokens, or of the
   * likeliest.
   */
  logProbs(length: number): Promise<ReadonlyMap<number, number>>;
  /** Feeds the prompt. */
  prefill(): Promise<void>;
  /** Decodes from one token on. */
  decode(): Promise<void>;
  close(): Promise<void>;
}
