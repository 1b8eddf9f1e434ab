/** The calls of the training page to its worker, which holds one training or one fine-tuned model. */
import type { Accuracy } from '@mamba/train';
import type { BackendName, BackendReport } from '../../worker/protocol.ts';

/** Argument, result and event of each call. */
export interface Calls {
  probe: [argument: undefined, result: readonly BackendReport[], event: never];
  /** Makes a model for the induction heads, of which no step is trained yet. */
  createHeads: [argument: HeadsOptions, result: HeadsInfo, event: never];
  /** Trains to the last step, or until `pauseHeads`, after which another call goes on. */
  runHeads: [argument: undefined, result: 'paused' | 'done', event: HeadsEvent];
  pauseHeads: [argument: undefined, result: undefined, event: never];
  fineTune: [argument: FineTuneOptions, result: TextMeasured, event: FineTuneEvent];
  /** Continues a prompt with the fine-tuned model. The events are pieces of text. */
  write: [argument: WriteOptions, result: undefined, event: string];
  /** The fine-tuned model with its adapters merged, as the bytes of a safetensors file. */
  save: [argument: undefined, result: Uint8Array, event: never];
}

export interface HeadsOptions {
  readonly backend: BackendName;
  /** The lengths that are trained, in turn. */
  readonly lengths: readonly number[];
  readonly testLengths: readonly number[];
  readonly steps: number;
  /** Sequences of a step. */
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
}

export interface HeadsInfo {
  /** The description of the backend. */
  readonly backend: string;
  readonly parameters: number;
}

export type HeadsEvent =
  | {
      readonly kind: 'step';
      /** The number of the step, from 1. */
      readonly step: number;
      /** In nats, of each answer. */
      readonly loss: number;
      readonly tokensPerSecond: number;
      readonly secondsLeft: number;
    }
  | { readonly kind: 'accuracy'; readonly step: number; readonly results: readonly Accuracy[] };

export interface FineTuneOptions {
  readonly backend: BackendName;
  /** The address of the model's folder. */
  readonly model: string;
  /** The text, whose last fifth is held out. */
  readonly text: string;
  readonly steps: number;
  readonly learningRate: number;
  /** What is written before and after. */
  readonly sample: WriteOptions;
}

export type FineTuneEvent =
  | {
      readonly kind: 'before';
      readonly measured: TextMeasured;
      /** The number of parameters of the adapters, and of the whole model. */
      readonly trained: number;
      readonly parameters: number;
    }
  | { readonly kind: 'step'; readonly step: number; readonly loss: number; readonly secondsLeft: number };

/** What a model makes of a text. */
export interface TextMeasured {
  /** The loss on the part that is held out, in nats a token. */
  readonly loss: number;
  /** Number of tokens that it is the mean of. */
  readonly targets: number;
  /** The sample, without its prompt. */
  readonly sample: string;
}

export interface WriteOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly seed: number;
}
