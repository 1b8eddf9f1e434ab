import type { GenerateOptions } from '../generate/request.ts';
import { badRequest } from './errors.ts';
import { type EncodedPrompt, encodeMessages, encodePrompts, type PromptContext, type PromptLimits } from './prompts.ts';
import type { ChatRequest, CompletionRequest, SharedFields } from './schema.ts';

/** A checked request: its encoded prompts, and one generation for each choice. */
export interface Plan {
  readonly kind: 'completion' | 'chat';
  readonly prompts: readonly EncodedPrompt[];
  readonly choices: readonly PlannedChoice[];
  /** Number of likeliest tokens given beside each token; undefined if no log-probabilities are requested. */
  readonly logProbs: number | undefined;
  /** Whether the answer begins with the prompt. */
  readonly echo: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

export interface PlannedChoice {
  /** Index of its prompt. */
  readonly prompt: number;
  /** Undefined if nothing is to be generated. */
  readonly options: GenerateOptions | undefined;
}

export interface PlanLimits extends PromptLimits {
  /** Most tokens of one choice. */
  readonly maxTokens: number;
  /** Most choices of one request. */
  readonly maxChoices: number;
}

export interface PlanContext extends PromptContext {
  readonly limits: PlanLimits;
}

/** OpenAI's default of `max_tokens` for completions. */
const COMPLETION_TOKENS = 16;
/**
 * Most log-probabilities in one answer: formatting a million of them would block the server for a second.
 */
const MAX_LOG_PROBS = 2 ** 18;

/** @throws ApiError, MambaError if the request cannot be fulfilled. */
export async function planCompletion(request: CompletionRequest, context: PlanContext): Promise<Plan> {
  const { limits } = context;
  const { prompt, max_tokens: asked, logprobs, best_of: candidates, n } = request;
  const echo = request.echo === true;
  if (typeof candidates === 'number' && candidates !== (n ?? 1))
    throw badRequest('best_of: has to be n, since no choice is left out here', 'best_of');
  if (asked === 0 && !echo)
    throw badRequest('max_tokens: 0 wants echo: true, or there is nothing to answer', 'max_tokens');
  const maxTokens = resolveTokens('max_tokens', asked ?? Math.min(COMPLETION_TOKENS, limits.maxTokens), limits);
  const several = Array.isArray(prompt) && typeof prompt[0] !== 'number' ? prompt.length : 1;
  checkChoices(several, request, limits);
  const options = generation(request, { maxTokens, logProbs: typeof logprobs === 'number' ? logprobs : undefined });
  const prompts = await encodePrompts(prompt, 'prompt', context);
  const plan = {
    ...options,
    kind: 'completion',
    prompts,
    echo,
    choices: choicesOf(request, prompts, options),
  } as const;
  checkLogProbs('logprobs', plan);
  return plan;
}

/** @throws ApiError, MambaError as `planCompletion`, and without a chat template. */
export async function planChat(request: ChatRequest, context: PlanContext): Promise<Plan> {
  const { limits } = context;
  const { max_tokens: older, max_completion_tokens: newer, logprobs, top_logprobs: top } = request;
  if (top && logprobs !== true) throw badRequest('top_logprobs wants logprobs: true', 'top_logprobs');
  checkChoices(1, request, limits);
  const [param, asked] = newer ? (['max_completion_tokens', newer] as const) : (['max_tokens', older ?? -1] as const);
  if (asked === 0 || newer === 0) throw badRequest(`${param}: 0 leaves nothing to answer`, param);
  const maxTokens = resolveTokens(param, asked, limits);
  const options = generation(request, { maxTokens, logProbs: logprobs === true ? (top ?? 0) : undefined });
  const prompts = [await encodeMessages(request, context)];
  const choices = choicesOf(request, prompts, options);
  const plan = { ...options, kind: 'chat', prompts, echo: false, choices } as const;
  checkLogProbs('top_logprobs', plan);
  return plan;
}

type Planned = Pick<Plan, 'logProbs' | 'stream' | 'includeUsage'> & {
  readonly maxTokens: number;
  readonly sampling: Sampling;
};
type Sampling = Partial<GenerateOptions>;

function generation(
  request: SharedFields,
  { maxTokens, logProbs }: { readonly maxTokens: number; readonly logProbs: number | undefined },
): Planned {
  const { stream, stream_options: streamOptions } = request;
  if (streamOptions && stream !== true) throw badRequest('stream_options wants stream: true', 'stream_options');
  const includeUsage = streamOptions?.include_usage === true;
  return { maxTokens, logProbs, stream: stream === true, includeUsage, sampling: samplingOf(request) };
}

function choicesOf(
  { n, seed }: SharedFields,
  prompts: readonly EncodedPrompt[],
  { maxTokens, logProbs, sampling }: Planned,
): readonly PlannedChoice[] {
  const wanted = logProbs === undefined ? {} : { logProbs: true, topLogProbs: logProbs };
  // Clients send a seed at temperature 0 as well, which `generate` refuses.
  const seeded = typeof seed === 'number' && sampling.temperature !== 0 ? seed : undefined;
  return prompts.flatMap(({ ids }, prompt) =>
    Array.from({ length: n ?? 1 }, (_, copy) => {
      if (maxTokens === 0) return { prompt, options: undefined };
      // With the same seed all choices would be equal.
      const own = seeded === undefined ? {} : { seed: copy === 0 ? seeded : (seeded + copy) % Number.MAX_SAFE_INTEGER };
      return { prompt, options: { ...sampling, ...wanted, ...own, maxTokens, prompt: ids } };
    }),
  );
}

/** Translates OpenAI's names and defaults: temperature 1, and penalties over the whole sequence. */
function samplingOf(request: SharedFields): Sampling {
  const { temperature: asked, top_p: topP, top_k: topK, min_p: minP, typical_p: typicalP, stop } = request;
  const temperature = asked ?? 1;
  const presencePenalty = request.presence_penalty ?? 0;
  const frequencyPenalty = request.frequency_penalty ?? 0;
  const repetitionPenalty = request.repetition_penalty ?? 1;
  const penalizes = presencePenalty !== 0 || frequencyPenalty !== 0 || repetitionPenalty !== 1;
  const stops = typeof stop === 'string' ? [stop] : (stop ?? []);
  return {
    temperature,
    // Clients send filters at temperature 0 as well, which `generate` refuses; they never drop the likeliest token.
    ...(temperature > 0 && { topP: topP ?? 1, minP: minP ?? 0, typicalP: typicalP ?? 1 }),
    ...(temperature > 0 && topK && topK > 0 && { topK }),
    ...{ presencePenalty, frequencyPenalty, repetitionPenalty },
    ...(penalizes && { penaltyWindow: Number.POSITIVE_INFINITY }),
    logitBias: request.logit_bias ?? {},
    stop: stops.filter((text) => text !== ''),
  };
}

function checkLogProbs(param: string, { logProbs, stream, echo, prompts, choices }: Plan): void {
  if (logProbs === undefined) return;
  const tokens = choices.reduce((sum, { prompt, options }) => {
    const given = stream ? 0 : (options?.maxTokens ?? 0);
    return sum + given + (echo ? prompts[prompt]!.ids.length : 0);
  }, 0);
  const count = tokens * (1 + logProbs);
  if (count <= MAX_LOG_PROBS) return;
  const most = `more than this server tells at once, ${MAX_LOG_PROBS}`;
  const hint = 'Ask for fewer, of fewer tokens, or for what is generated as a stream.';
  throw badRequest(`${param}: ${count} log-probabilities in one answer are ${most}. ${hint}`, param);
}

function checkChoices(prompts: number, { n }: SharedFields, { maxChoices }: PlanLimits): void {
  const choices = prompts * (n ?? 1);
  if (choices > maxChoices) throw badRequest(`${choices} choices: at most ${maxChoices} in one request`, 'n');
}

/** -1 requests as many as allowed. */
function resolveTokens(param: string, tokens: number, { maxTokens }: PlanLimits): number {
  if (tokens <= maxTokens) return tokens === -1 ? maxTokens : tokens;
  throw badRequest(`${param}: ${tokens} is more than this server gives, ${maxTokens}`, param);
}
