import type { GenerateOptions, LanguageModel, Prompt } from '../language-model.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { badRequest } from './errors.ts';
import type { ChatRequest, CompletionRequest, SharedFields } from './schema.ts';

/** What a request comes to: one generation a choice. */
export interface Plan {
  readonly kind: 'completion' | 'chat';
  readonly choices: readonly GenerateOptions[];
  readonly promptTokens: number;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

export interface PlanLimits {
  /** Of one choice. */
  readonly maxTokens: number;
  /** At once. */
  readonly maxChoices: number;
}

/** OpenAI's default, where a completion does not say. */
const COMPLETION_TOKENS = 16;

/** @throws ApiError, MambaError where the request cannot be fulfilled. */
export function planCompletion(lm: LanguageModel, request: CompletionRequest, limits: PlanLimits): Plan {
  const { prompt, max_tokens: asked, logprobs } = request;
  const several = Array.isArray(prompt) && typeof prompt[0] !== 'number';
  const prompts = (several ? prompt : [prompt]) as readonly Prompt[];
  const maxTokens = checkTokens('max_tokens', asked ?? Math.min(COMPLETION_TOKENS, limits.maxTokens), limits);
  const wanted = typeof logprobs === 'number' ? { logProbs: true, topLogProbs: logprobs } : {};
  return plan(lm, 'completion', request, prompts, { maxTokens, ...wanted }, limits);
}

/** @throws ApiError, MambaError as `planCompletion`; also where the model has no chat template. */
export function planChat(lm: LanguageModel, request: ChatRequest, limits: PlanLimits): Plan {
  const { max_tokens: older, max_completion_tokens: newer, logprobs, top_logprobs: top } = request;
  if (lm.tokenizer?.chatTemplate === undefined)
    throw badRequest(
      `The model ${request.model} has no chat template. Use /v1/completions, and write the conversation as the prompt.`,
      'messages',
      'no_chat_template',
    );
  if (typeof top === 'number' && logprobs !== true)
    throw badRequest('top_logprobs wants logprobs: true', 'top_logprobs');
  const messages = request.messages.map((message): ChatMessage => ({ ...message, content: text(message.content) }));
  const maxTokens = checkTokens('max_completion_tokens', newer ?? older ?? limits.maxTokens, limits);
  const wanted = logprobs === true ? { logProbs: true, topLogProbs: top ?? 0 } : {};
  return plan(lm, 'chat', request, [lm.encodeChat(messages)], { maxTokens, ...wanted }, limits);
}

function plan(
  lm: LanguageModel,
  kind: Plan['kind'],
  request: SharedFields,
  prompts: readonly Prompt[],
  wanted: Partial<GenerateOptions>,
  limits: PlanLimits,
): Plan {
  const { n, stream, stream_options: streamOptions, seed } = request;
  const copies = n ?? 1;
  if (prompts.length * copies > limits.maxChoices)
    throw badRequest(`${prompts.length * copies} choices: at most ${limits.maxChoices} in one request`, 'n');
  if (streamOptions && stream !== true) throw badRequest('stream_options wants stream: true', 'stream_options');
  const encoded = prompts.map((prompt) => Array.from(lm.promptIds(prompt)));
  const options = { ...sampling(request), ...wanted };
  // Each choice draws for itself: with one seed they would all be the same.
  const choices = encoded.flatMap((prompt) =>
    Array.from({ length: copies }, (_, copy) => ({
      ...options,
      prompt,
      // At temperature 0 nothing is drawn, but clients send both.
      ...(typeof seed === 'number' &&
        options.temperature !== 0 && { seed: copy === 0 ? seed : (seed + copy) % Number.MAX_SAFE_INTEGER }),
    })),
  );
  return {
    ...{ kind, choices },
    promptTokens: encoded.reduce((sum, { length }) => sum + length, 0),
    stream: stream === true,
    includeUsage: streamOptions?.include_usage === true,
  };
}

/** OpenAI's names and defaults to ours: a temperature of 1, penalties over all that was read. */
function sampling(request: SharedFields): Partial<GenerateOptions> {
  const { temperature: asked, top_p: topP, top_k: topK, min_p: minP, typical_p: typicalP, stop } = request;
  const temperature = asked ?? 1;
  const presencePenalty = request.presence_penalty ?? 0;
  const frequencyPenalty = request.frequency_penalty ?? 0;
  const repetitionPenalty = request.repetition_penalty ?? 1;
  const penalizes = presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1;
  return {
    temperature,
    // At 0 the likeliest token is taken, which no filter drops: clients send both.
    ...(temperature > 0 && { topP: topP ?? 1, minP: minP ?? 0, typicalP: typicalP ?? 1 }),
    ...(temperature > 0 && typeof topK === 'number' && { topK }),
    ...{ presencePenalty, frequencyPenalty, repetitionPenalty },
    ...(penalizes && { penaltyWindow: Number.POSITIVE_INFINITY }),
    logitBias: request.logit_bias ?? {},
    stop: stop ?? [],
  };
}

function checkTokens(param: string, tokens: number, { maxTokens }: PlanLimits): number {
  if (tokens <= maxTokens) return tokens;
  throw badRequest(`${param}: ${tokens} is more than this server gives, ${maxTokens}`, param);
}

function text(content: ChatRequest['messages'][number]['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text).join('');
}
