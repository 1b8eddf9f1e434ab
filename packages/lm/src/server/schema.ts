/**
 * The requests of OpenAI's API, as far as a language model by itself can answer them. A field that would change the answer and is not
 * known here is refused, so that nothing is silently ignored; those that only label a request are taken and left.
 */
import { z } from 'zod';

const count = z.int().min(1);

/** Of both endpoints. The last four are not OpenAI's; other servers of open models know them by these names. */
const shared = {
  model: z.string(),
  n: count.max(128).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_usage: z.boolean().optional() }).nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(16)]).nullish(),
  seed: z.int().nullish(),
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  logit_bias: z.record(z.string().regex(/^\d+$/), z.number().min(-100).max(100)).nullish(),
  top_k: count.nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  typical_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().positive().nullish(),
};

/** They name a caller, or what a hosted service does with a request. */
const labels = {
  user: z.string().nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  store: z.boolean().nullish(),
  service_tier: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
};

const ids = z.array(z.int().min(0));

export const completionRequest = z.strictObject({
  ...shared,
  ...labels,
  prompt: z.union([z.string(), ids.min(1), z.array(z.string()).min(1), z.array(ids.min(1)).min(1)]),
  max_tokens: count.nullish(),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.literal(false).nullish(),
});

export const chatRequest = z.strictObject({
  ...shared,
  ...labels,
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
  max_tokens: count.nullish(),
  max_completion_tokens: count.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  response_format: z.strictObject({ type: z.literal('text') }).nullish(),
});

export type CompletionRequest = z.infer<typeof completionRequest>;
export type ChatRequest = z.infer<typeof chatRequest>;
export type SharedFields = Pick<CompletionRequest & ChatRequest, keyof typeof shared>;
