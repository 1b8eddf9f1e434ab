/**
 * What goes between a page and its worker, in plain data. Every message bears the version; the host answers another
 * version than its own with an error. Calls are answered once. Streams are pulled: one answer to each `next`, so that
 * nothing is computed that nobody reads.
 */
import {
  type ErrorCode,
  type ErrorDetails,
  isMambaError,
  MambaError,
  type MemoryUse,
  type ModelConfig,
} from '@mamba/core';
import type { DeltaMap, DeltaOptions } from '../blocks/mamba/selection.ts';
import type { Bounds } from '../bounds/bounds.ts';
import type { GeneratedPiece } from '../generate/pieces.ts';
import type { BatchPiece, GenerateOptions, Prompt } from '../generate/request.ts';
import type { DownloadProgress } from '../hub/hub.ts';
import type { LoadOptions } from '../load/load-model.ts';
import type { HiddenStateOptions, HiddenStates } from '../score/hidden-states.ts';
import type { LogProbOptions } from '../score/log-probs.ts';
import type { Perplexity, PerplexityOptions } from '../score/perplexity.ts';
import type { Score } from '../score/score.ts';
import type { AppendOptions, Mark, SessionGenerateOptions, SessionOptions } from '../session/session.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { EncodeChatOptions } from '../tokenizer/tokenizer.ts';

export const PROTOCOL_VERSION = 4;

/** A model, a session or a selection of the host. */
export type Handle = number;

/**
 * Options without what cannot be sent: signals and callbacks go as messages of their own, and states stay where they
 * are.
 */
export type Sendable<O> = Omit<
  O,
  'signal' | 'onProgress' | 'onDownload' | 'onWarning' | 'tokenizer' | 'state' | 'prefixCache' | 'draft' | 'batcher'
>;

/** A tokenizer of one's own, as a store, cannot be sent. */
export interface RemoteTokenizer {
  readonly tokenizer?: string | readonly File[] | undefined;
}

export interface ModelInfo {
  readonly handle: Handle;
  readonly name: string;
  readonly config: ModelConfig;
  readonly fingerprint: string;
  readonly backend: { readonly name: string; readonly description: string };
  readonly specialTokens: { readonly bos: number | undefined; readonly eos: readonly number[] };
  readonly hasTokenizer: boolean;
  readonly hasChatTemplate: boolean;
}

export interface SessionInfo {
  readonly handle: Handle;
  readonly length: number;
  readonly bytes: number;
  readonly marks: readonly Mark[];
}

/** Methods that are answered once: arguments and result. */
export interface Calls {
  load: [location: string | readonly File[], options: Sendable<LoadOptions> & RemoteTokenizer, result: ModelInfo];
  memory: [result: MemoryUse | undefined];
  encode: [model: Handle, text: string, result: number[]];
  decode: [model: Handle, ids: readonly number[], result: string];
  encodeChat: [model: Handle, messages: readonly ChatMessage[], options: EncodeChatOptions, result: number[]];
  score: [model: Handle, prompt: Prompt, options: Sendable<LogProbOptions>, result: Score];
  perplexity: [model: Handle, text: string, options: Sendable<PerplexityOptions>, result: Perplexity];
  hiddenStates: [model: Handle, prompt: Prompt, options: Sendable<HiddenStateOptions>, result: HiddenStates];
  openSelection: [model: Handle, result: Handle];
  deltas: [selection: Handle, ids: ArrayLike<number>, options: Sendable<DeltaOptions>, result: DeltaMap];
  disposeSelection: [selection: Handle, result: undefined];
  disposeModel: [model: Handle, result: undefined];
  createSession: [model: Handle, options: SessionOptions, result: SessionInfo];
  loadSession: [model: Handle, bytes: Uint8Array, options: SessionOptions, result: SessionInfo];
  describeSession: [session: Handle, result: SessionInfo];
  recent: [session: Handle, result: readonly number[]];
  append: [session: Handle, input: Prompt, options: Sendable<AppendOptions>, result: SessionInfo];
  mark: [session: Handle, result: { readonly mark: Mark; readonly info: SessionInfo }];
  rewind: [session: Handle, mark: Pick<Mark, 'id'>, result: SessionInfo];
  release: [session: Handle, mark: Pick<Mark, 'id'>, result: SessionInfo];
  fork: [session: Handle, result: SessionInfo];
  save: [session: Handle, result: Uint8Array];
  disposeSession: [session: Handle, result: undefined];
}

/** Methods that give pieces: arguments and piece. */
export interface Streams {
  generate: [model: Handle, options: Sendable<GenerateOptions>, piece: GeneratedPiece];
  generateBatch: [model: Handle, requests: readonly Sendable<GenerateOptions>[], piece: BatchPiece];
  continue: [session: Handle, options: Sendable<SessionGenerateOptions>, piece: GeneratedPiece];
}

export type Arguments<T extends readonly unknown[]> = T extends readonly [...infer A, unknown] ? A : never;
export type Result<T extends readonly unknown[]> = T extends readonly [...unknown[], infer R] ? R : never;

export type Request = { readonly version: number; readonly id: number } & (
  | { readonly type: 'call'; readonly method: keyof Calls; readonly args: readonly unknown[] }
  | { readonly type: 'open'; readonly method: keyof Streams; readonly args: readonly unknown[] }
  | { readonly type: 'next' }
  /** Ends a stream early; answered when its state is freed. */
  | { readonly type: 'return' }
  /** The caller's signal fired; answered as the call or stream is, with `aborted`. */
  | { readonly type: 'abort' }
);

export type Response = { readonly version: number; readonly id: number } & (
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'item'; readonly done: boolean; readonly value: unknown }
  | { readonly type: 'progress'; readonly args: readonly number[] }
  | { readonly type: 'download'; readonly progress: DownloadProgress }
  | { readonly type: 'warning'; readonly warning: PlainError }
  | { readonly type: 'error'; readonly error: PlainError }
  /** Code of a checkpoint begins to run, which the worker cannot end; its ids are a row of their own. */
  | { readonly type: 'begin'; readonly bounds: PlainBounds }
  | { readonly type: 'end' }
);

export type PlainBounds = Pick<Bounds, 'origin' | 'milliseconds' | 'remedy'>;

export interface PlainError extends Omit<ErrorDetails, 'cause'> {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/** The part of a Worker, of a worker's global scope, and of a MessagePort (Node's too) that is used. */
export interface WorkerPort {
  postMessage(message: unknown, transfer: Transferable[]): void;
  addEventListener(type: string, listener: (event: Event) => void): void;
  removeEventListener(type: string, listener: (event: Event) => void): void;
  /** MessagePorts begin to deliver only then. */
  start?(): void;
  /** Of a Worker: ends it, whatever it does. */
  terminate?(): void;
}

export function toPlainError(error: unknown): PlainError {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  if (!isMambaError(error)) return { code: undefined, message, stack };
  const { code, origin, given, expected, remedy } = error;
  return { code, message, stack, origin, given, expected, remedy };
}

/** An error with the same code, message and data; anything that was no MambaError is an Error. */
export function fromPlainError(plain: PlainError): Error {
  const { code, message, stack } = plain;
  const error = code === undefined ? new Error(message) : fromPlain(code, plain);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** @param code The error's, which only one of another kind lacks. */
export function fromPlain(code: ErrorCode, { message, origin, given, expected, remedy }: PlainError): MambaError {
  return Object.assign(new MambaError(code, message), { origin, given, expected, remedy });
}
