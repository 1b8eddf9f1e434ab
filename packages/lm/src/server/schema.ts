/**
 * The requests of OpenAI's API, as far as a language model alone can answer them. Unknown fields are refused, so that
 * nothing is silently ignored. Accepted and ignored are fields that only label a request, and values of unsupported
 * fields that request nothing: `null`, an empty list, a default.
 */
import { z } from 'zod';
import { SESSION_ID } from './sessions/sessions.ts';
import { isEmpty, only, unsupported, unsupportedInChats } from './unsupported.ts';

const count = z.int().min(1);
/** Some clients send -1 for no limit. */
const tokens = z.int().min(-1).nullish();
/** Some clients send an empty list for an empty object. */
const record = <V extends z.ZodType>(key: z.ZodString, value: V) =>
  z.preprocess((given) => (isEmpty(given) ? undefined : given), z.record(key, value).optional());

/** Fields that name a caller, or options of a hosted service. */
const labels = {
  // Checked by the routes.
  model: z.string().nullish(),
  user: z.string().nullish(),
  metadata: record(z.string(), z.string()),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  prompt_cache_retention: z.string().nullish(),
  request_id: z.string().nullish(),
  // The cache does not change the answer.
  cache_prompt: z.boolean().nullish(),
  /** Encodes special tokens in the prompt as text. Not in OpenAI's API; the name is that of transformers. */
  split_special_tokens: z.boolean().nullish(),
};

/** Fields of completions and chats. The last four are not in OpenAI's API; other servers have them by these names. */
const shared = {
  ...labels,
  ...unsupported,
  n: count.max(128).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({ include_usage: z.boolean().nullish(), include_obfuscation: z.literal(false).nullish() })
    .nullish(),
  stop: z.union([z.string().max(1000), z.array(z.string().max(1000)).max(16)]).nullish(),
  seed: z.int().nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)),
  /** 0 and -1 keep all tokens, as in other servers. */
  top_k: z.int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
};

/** A custom check: zod would report an issue for each of a hundred thousand wrong ids. */
const texts = z.custom<string | number[] | string[] | number[][]>(
  (given) => typeof given === 'string' || isIds(given) || isListOf(given, isText) || isListOf(given, isIds),
  'Invalid input: expected a text, a list of token ids, or a list of either',
);

function isText(given: unknown): boolean {
  return typeof given === 'string';
}

function isIds(given: unknown): boolean {
  return isListOf(given, (id) => Number.isSafeInteger(id) && (id as number) >= 0);
}

function isListOf(given: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(given) && given.length > 0 && given.every(is);
}

export const completionRequest = z.strictObject({
  ...shared,
  prompt: texts,
  max_tokens: tokens,
  logprobs: z.union([z.literal(false), z.int().min(0).max(20)]).nullish(),
  echo: z.boolean().nullish(),
  best_of: count.nullish(),
  /** Continues what a session has read. Not in OpenAI's API. */
  session: z
    .string()
    .regex(SESSION_ID, 'Invalid input: expected 1 to 128 of A-Z, a-z, 0-9, "_", ".", "~", "-"')
    .nullish(),
  add_special_tokens: only(true),
});

export const chatRequest = z.strictObject({
  ...shared,
  ...unsupportedInChats,
  messages: z
    .array(
      z.looseObject({
        role: z.string().min(1),
        content: z
          .union([z.string(), z.array(z.strictObject({ type: z.literal('text'), text: z.string() }))])
          .nullish(),
      }),
    )
    .min(1),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: z.strictObject({ type: z.literal('text') }).nullish(),
  modalities: z.array(z.literal('text')).nullish(),
  // There are no tools.
  parallel_tool_calls: z.boolean().nullish(),
});

export const embeddingRequest = z.strictObject({
  ...labels,
  input: texts,
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: count.nullish(),
  truncate_prompt_tokens: only(-1),
  add_special_tokens: only(true),
  priority: only(0),
});

export type CompletionRequest = z.infer<typeof completionRequest>;
export type ChatRequest = z.infer<typeof chatRequest>;
export type EmbeddingRequest = z.infer<typeof embeddingRequest>;
export type SharedFields = Pick<CompletionRequest, keyof typeof shared>;
