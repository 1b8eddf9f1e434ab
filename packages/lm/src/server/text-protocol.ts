import type { ChatMessage } from '../tokenizer/chat-template.ts';
import type { PlainError } from '../worker/protocol.ts';

/** The arguments of `new Tokenizer` in the worker. */
export interface TextWorkerData {
  readonly json: unknown;
  readonly config: unknown;
  readonly origin: string;
}

/** A message to the worker, one at a time. */
export type TextJob = { readonly splitSpecialTokens: boolean } & (
  | { readonly kind: 'text'; readonly text: string; readonly addSpecialTokens: boolean }
  | { readonly kind: 'chat'; readonly messages: readonly ChatMessage[] }
);

export type TextResult = { readonly ids: readonly number[] } | { readonly error: PlainError };
