/**
 * Fields that are not supported, but that clients send with a value that requests nothing. That value is accepted, and
 * any other is refused.
 */
import { z } from 'zod';

/** Accepts `null`, empty values and the given ones; any other would have to change the answer. */
export function only(...values: readonly (string | number | boolean)[]): z.ZodType<unknown> {
  const told = values.length === 0 ? 'nothing' : values.map((value) => JSON.stringify(value)).join(' or ');
  return z
    .unknown()
    .refine((value) => isEmpty(value) || (values as readonly unknown[]).includes(value), {
      message: `is not supported here, except ${told}; leave it out`,
    })
    .optional();
}

/** Whether a value is `null`, undefined, or an empty string, list or object. */
export function isEmpty(value: unknown): boolean {
  if (value === null || value === undefined || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** Fields of OpenAI's API, and of servers for open models, on every endpoint. */
export const unsupported = {
  suffix: only(),
  ignore_eos: only(false),
  min_tokens: only(0),
  stop_token_ids: only(),
  bad_words: only(),
  include_stop_str_in_output: only(false),
  skip_special_tokens: only(true),
  spaces_between_special_tokens: only(true),
  detokenize: only(true),
  return_token_ids: only(false),
  return_tokens_as_token_ids: only(false),
  prompt_logprobs: only(0, -1),
  truncate_prompt_tokens: only(-1),
  use_beam_search: only(false),
  length_penalty: only(1),
  early_stopping: only(false),
  repeat_penalty: only(1),
  mirostat: only(0),
  mirostat_mode: only(0),
  tfs_z: only(1),
  tfs: only(1),
  top_a: only(0),
  dynatemp_range: only(0),
  dry_multiplier: only(0),
  xtc_probability: only(0),
  grammar: only(),
  json_schema: only(),
  guided_json: only(),
  guided_regex: only(),
  guided_choice: only(),
  guided_grammar: only(),
  structured_outputs: only(),
  logits_processors: only(),
  priority: only(0),
  n_probs: only(0),
};

/** Fields of chats for what a language model alone does not do. */
export const unsupportedInChats = {
  echo: only(false),
  session: only(),
  best_of: only(1),
  tools: only(),
  functions: only(),
  // Without tools both mean that none is called.
  tool_choice: only('none', 'auto'),
  function_call: only('none', 'auto'),
  audio: only(),
  prediction: only(),
  web_search_options: only(),
  reasoning_effort: only('none'),
  verbosity: only('medium'),
  documents: only(),
  chat_template: only(),
  chat_template_kwargs: only(),
  add_generation_prompt: only(true),
  continue_final_message: only(false),
  add_special_tokens: only(false),
};
