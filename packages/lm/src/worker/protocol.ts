/**
 * The messages between a page and its worker, as plain data. Every message has the protocol's version; the worker
 * answers another version with an error. Calls are answered once. Streams are pulled: each `next` gets one answer, so
 * that nothing is computed before it is requested.
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

/** The version that each message carries. A page and a worker of different versions refuse each other. */
export const PROTOCOL_VERSION = 4;

/** Identifies a model, session or selection of the worker. */
export type Handle = number;

/**
 * Options without those that cannot be sent: signals and callbacks have messages of their own, and objects of the
 * worker stay there.
 */
export type Sendable<O> = Omit<
  O,
  'signal' | 'onProgress' | 'onDownload' | 'onWarning' | 'tokenizer' | 'state' | 'prefixCache' | 'draft' | 'batcher'
>;

/** The tokenizer as an option of `load`: a store or a `Tokenizer` cannot be sent. */
export interface RemoteTokenizer {
  readonly tokenizer?: string | readonly File[] | undefined;
}

/** The properties of a model that the page can read at any time. */
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

/** The properties of a session as of the latest answer. */
export interface SessionInfo {
  readonly handle: Handle;
  readonly length: number;
  readonly bytes: number;
  readonly marks: readonly Mark[];
}

/** Methods that are answered once: their arguments, and their result as the last element. */
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

/** Methods that stream: their arguments, and the type of an item as the last element. */
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
  /** Ends a stream early; answered after its state is freed. */
  | { readonly type: 'return' }
  /** The caller's signal fired: the call or stream is answered with `aborted`. */
  | { readonly type: 'abort' }
);

export type Response = { readonly version: number; readonly id: number } & (
  | { readonly type: 'result'; readonly value: unknown }
  | { readonly type: 'item'; readonly done: boolean; readonly value: unknown }
  | { readonly type: 'progress'; readonly args: readonly number[] }
  | { readonly type: 'download'; readonly progress: DownloadProgress }
  | { readonly type: 'warning'; readonly warning: PlainError }
  | { readonly type: 'error'; readonly error: PlainError }
  /** Code of a checkpoint begins, which the worker cannot interrupt. The ids of `begin` and `end` are their own. */
  | { readonly type: 'begin'; readonly bounds: PlainBounds }
  | { readonly type: 'end' }
);

export type PlainBounds = Pick<Bounds, 'origin' | 'milliseconds' | 'remedy'>;

export interface PlainError extends Omit<ErrorDetails, 'cause'> {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  readonly stack: string | undefined;
}

/** The common part of Worker, a worker's global scope and MessagePort (Node's too). */
export interface WorkerPort {
  /** Sends a message, and hands over what is to be transferred. */
  postMessage(message: unknown, transfer: Transferable[]): void;
  /** Listens for messages, and for failures of the worker. */
  addEventListener(type: string, listener: (event: Event) => void): void;
  /** Ends listening. */
  removeEventListener(type: string, listener: (event: Event) => void): void;
  /** Starts the delivery of a MessagePort. */
  start?(): void;
  /** Terminates a Worker. */
  terminate?(): void;
}

/** An error as plain data. */
export function toPlainError(error: unknown): PlainError {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  if (!isMambaError(error)) return { code: undefined, message, stack };
  const { code, origin, given, expected, remedy } = error;
  return { code, message, stack, origin, given, expected, remedy };
}

/** The error of plain data: a MambaError with the same fields, or an Error if it was none. */
export function fromPlainError(plain: PlainError): Error {
  const { code, message, stack } = plain;
  const error = code === undefined ? new Error(message) : fromPlain(code, plain);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** The MambaError of plain data. @param code The error's code, which other errors lack. */
export function fromPlain(code: ErrorCode, { message, origin, given, expected, remedy }: PlainError): MambaError {
  return Object.assign(new MambaError(code, message), { origin, given, expected, remedy });
}
