import type { Prompt } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { badRequest } from './errors.ts';
import type { PromptEncoder, TextOptions } from './prompt-encoder.ts';
import type { ChatRequest } from './schema.ts';
import { isEmpty } from './unsupported.ts';

/** Limits for all prompts of a request together. */
export interface PromptLimits {
  readonly maxPromptTokens: number;
  /** Most characters of texts, before they are encoded. */
  readonly maxPromptChars: number;
}

export interface EncodedPrompt {
  readonly ids: readonly number[];
  /** Undefined if it was given as ids, or is a chat. */
  readonly text: string | undefined;
}

export interface PromptContext extends TextOptions {
  readonly lm: LanguageModel;
  readonly encoder: PromptEncoder;
  readonly limits: PromptLimits;
  /** Called before anything is encoded. @throws ApiError 429 if the queue is full. */
  readonly admit: () => void;
  /** Whether the prompt follows other text. It may be empty then. */
  readonly continues?: boolean | undefined;
}

/**
 * Encodes a field with one or several prompts.
 * @throws ApiError, MambaError if they are too long or cannot be encoded.
 */
export async function encodePrompts(
  field: Prompt | readonly Prompt[],
  param: string,
  context: PromptContext,
): Promise<readonly EncodedPrompt[]> {
  const { lm, encoder, limits } = context;
  const several = Array.isArray(field) && typeof field[0] !== 'number';
  const prompts = (several ? field : [field]) as readonly Prompt[];
  checkCharacters(
    prompts.reduce((sum, prompt) => sum + (typeof prompt === 'string' ? prompt.length : 0), 0),
    param,
    limits,
  );
  checkTokens(
    prompts.reduce((sum, prompt) => sum + (typeof prompt === 'string' ? 0 : prompt.length), 0),
    param,
    limits,
  );
  context.admit();
  const encoded: EncodedPrompt[] = [];
  let tokens = 0;
  for (const prompt of prompts) {
    const ids = Array.from(
      await (context.continues ? encoder.continuation(prompt, context) : encoder.prompt(prompt, context)),
    );
    const wrong = ids.find((id) => id >= lm.config.vocabSize);
    if (wrong !== undefined)
      throw badRequest(`${param}: ${wrong} is no id of this model's, which are below ${lm.config.vocabSize}`, param);
    tokens += ids.length;
    checkTokens(tokens, param, limits);
    encoded.push({ ids, text: typeof prompt === 'string' ? prompt : undefined });
  }
  return encoded;
}

/** @throws ApiError, MambaError as `encodePrompts`, and for fields of messages that the template does not use. */
export async function encodeMessages(request: ChatRequest, context: PromptContext): Promise<EncodedPrompt> {
  const { lm, encoder, limits } = context;
  const template = lm.tokenizer?.chatTemplate;
  if (template === undefined)
    throw badRequest(
      `The model ${lm.name} has no chat template. Use /v1/completions, and write the conversation as the prompt.`,
      'messages',
      'no_chat_template',
    );
  const messages = request.messages.map(({ content, ...message }, index): ChatMessage => {
    const rest = Object.entries(message).filter(([, value]) => !isEmpty(value));
    const unknown = rest.find(([field]) => field !== 'role' && !template.source.includes(field))?.[0];
    if (unknown !== undefined) {
      const param = `messages.${index}.${unknown}`;
      throw badRequest(`${param}: the chat template of this model does not look at it; leave it out`, param);
    }
    return { ...Object.fromEntries(rest), role: message.role, content: textOf(content) };
  });
  checkCharacters(
    messages.reduce((sum, { content }) => sum + content.length, 0),
    'messages',
    limits,
  );
  context.admit();
  const ids = await encoder.chat(messages, context);
  checkTokens(ids.length, 'messages', limits);
  return { ids, text: undefined };
}

function textOf(content: ChatRequest['messages'][number]['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map((part) => part.text).join('');
}

function checkCharacters(count: number, param: string, { maxPromptChars }: PromptLimits): void {
  if (count > maxPromptChars) throw tooLong(param, `${count} characters`, maxPromptChars);
}

function checkTokens(count: number, param: string, { maxPromptTokens }: PromptLimits): void {
  if (count > maxPromptTokens) throw tooLong(param, `${count} tokens`, maxPromptTokens);
}

function tooLong(param: string, given: string, most: number): Error {
  return badRequest(`${param}: ${given} are more than this server reads, ${most}`, param, 'context_length_exceeded');
}
