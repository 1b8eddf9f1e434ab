import type { GenerateOptions } from '../generate/request.ts';
import { badRequest } from './errors.ts';
import { type EncodedPrompt, encodeMessages, encodePrompts, type PromptContext, type PromptLimits } from './prompts.ts';
import type { ChatRequest, CompletionRequest, SharedFields } from './schema.ts';

/** What a request comes to: one generation a choice. */
export interface Plan {
  readonly kind: 'completion' | 'chat';
  readonly prompts: readonly EncodedPrompt[];
  readonly choices: readonly PlannedChoice[];
  /** How many of the likeliest tokens are told beside each one; undefined where none is told. */
  readonly logProbs: number | undefined;
  /** The prompt comes before the text. */
  readonly echo: boolean;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

export interface PlannedChoice {
  /** Index of its prompt. */
  readonly prompt: number;
  /** Undefined where nothing is to be generated. */
  readonly options: GenerateOptions | undefined;
}

export interface PlanLimits extends PromptLimits {
  /** Of one choice. */
  readonly maxTokens: number;
  /** At once. */
  readonly maxChoices: number;
}

export interface PlanContext extends PromptContext {
  readonly limits: PlanLimits;
}

/** OpenAI's default, where a completion does not say. */
const COMPLETION_TOKENS = 16;
/**
 * Log-probabilities that are told at once: a million of them take a second to write, in which nobody else is answered.
 */
const MAX_TOLD = 2 ** 18;

/** @throws ApiError, MambaError where the request cannot be fulfilled. */
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
  checkTold('logprobs', plan);
  return plan;
}

/** @throws ApiError, MambaError as `planCompletion`; also where the model has no chat template. */
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
  checkTold('top_logprobs', plan);
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
  // At temperature 0 nothing is drawn, but clients send a seed as well.
  const seeded = typeof seed === 'number' && sampling.temperature !== 0 ? seed : undefined;
  return prompts.flatMap(({ ids }, prompt) =>
    Array.from({ length: n ?? 1 }, (_, copy) => {
      if (maxTokens === 0) return { prompt, options: undefined };
      // Each choice draws for itself: with one seed they would all be the same.
      const own = seeded === undefined ? {} : { seed: copy === 0 ? seeded : (seeded + copy) % Number.MAX_SAFE_INTEGER };
      return { prompt, options: { ...sampling, ...wanted, ...own, maxTokens, prompt: ids } };
    }),
  );
}

/** OpenAI's names and defaults to ours: a temperature of 1, penalties over all that was read. */
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
    // At 0 the likeliest token is taken, which no filter drops: clients send both.
    ...(temperature > 0 && { topP: topP ?? 1, minP: minP ?? 0, typicalP: typicalP ?? 1 }),
    ...(temperature > 0 && topK && topK > 0 && { topK }),
    ...{ presencePenalty, frequencyPenalty, repetitionPenalty },
    ...(penalizes && { penaltyWindow: Number.POSITIVE_INFINITY }),
    logitBias: request.logit_bias ?? {},
    stop: stops.filter((text) => text !== ''),
  };
}

function checkTold(param: string, { logProbs, stream, echo, prompts, choices }: Plan): void {
  if (logProbs === undefined) return;
  const tokens = choices.reduce((sum, { prompt, options }) => {
    const given = stream ? 0 : (options?.maxTokens ?? 0);
    return sum + given + (echo ? prompts[prompt]!.ids.length : 0);
  }, 0);
  const told = tokens * (1 + logProbs);
  if (told <= MAX_TOLD) return;
  const most = `more than this server tells at once, ${MAX_TOLD}`;
  const hint = 'Ask for fewer, of fewer tokens, or for what is generated as a stream.';
  throw badRequest(`${param}: ${told} log-probabilities in one answer are ${most}. ${hint}`, param);
}

function checkChoices(prompts: number, { n }: SharedFields, { maxChoices }: PlanLimits): void {
  const choices = prompts * (n ?? 1);
  if (choices > maxChoices) throw badRequest(`${choices} choices: at most ${maxChoices} in one request`, 'n');
}

/** -1 is as many as there are. */
function resolveTokens(param: string, tokens: number, { maxTokens }: PlanLimits): number {
  if (tokens <= maxTokens) return tokens === -1 ? maxTokens : tokens;
  throw badRequest(`${param}: ${tokens} is more than this server gives, ${maxTokens}`, param);
}
