import { Template } from '@huggingface/jinja';
import { invalid, MambaError } from '@mamba/core';

export interface ChatMessage {
  /** `system`, `user`, `assistant`, or what else the template knows. */
  readonly role: string;
  readonly content: string;
  /** Templates may look at more: a name, tool calls. */
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** End with the beginning of the assistant's answer. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Further variables of the template: `tools`, `documents`, … */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** How a model wants a conversation written: a Jinja template, as `tokenizer_config.json` or `chat_template.jinja` hold it. */
export class ChatTemplate {
  readonly source: string;
  readonly #origin: string;
  readonly #tokens: Readonly<Record<string, string>>;
  /** Parsed when first used: a template that is never used may be broken. */
  #template: Template | undefined;

  /** @param tokens By their names in templates: `bos_token`, `eos_token`. */
  constructor(source: string, tokens: Readonly<Record<string, string>> = {}, origin = 'chat_template') {
    this.source = source;
    this.#tokens = tokens;
    this.#origin = origin;
  }

  /**
   * The conversation as the text of a prompt. It holds its special tokens already: encode it without adding more.
   * @throws MambaError `invalid-argument` for messages that are none, or that the template refuses; `invalid-file` for a broken template.
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    checkMessages(messages);
    const { addGenerationPrompt = true, variables = {} } = options;
    const template = this.#parse();
    try {
      return template.render({
        ...variables,
        ...this.#tokens,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
      });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MambaError('invalid-argument', `the chat template refuses the messages: ${reason}`, {
        origin: this.#origin,
        cause,
      });
    }
  }

  #parse(): Template {
    try {
      this.#template ??= new Template(this.source);
      return this.#template;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new MambaError('invalid-file', `${this.#origin} cannot be used: ${reason}`, {
        origin: this.#origin,
        cause,
      });
    }
  }
}

/**
 * The template out of a `tokenizer_config.json`, which may hold several by name; then the one called `default`.
 * @throws MambaError `invalid-file` where it is of no known form.
 */
export function chatTemplate(config: unknown, origin: string): ChatTemplate | undefined {
  const fields = (config ?? {}) as Readonly<Record<string, unknown>>;
  const given = fields.chat_template;
  if (given === undefined || given === null) return undefined;
  const named = Array.isArray(given)
    ? (given as readonly { name?: unknown; template?: unknown }[]).find(({ name }) => name === 'default')?.template
    : given;
  if (typeof named !== 'string')
    throw new MambaError('invalid-file', `${origin}: chat_template cannot be used`, {
      origin,
      given: JSON.stringify(given).slice(0, 80),
      expected: "a template, or a list of them with one named 'default'",
    });
  return new ChatTemplate(named, namedTokens(fields), `${origin}: chat_template`);
}

function namedTokens(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (!name.endsWith('_token')) continue;
    const content = typeof value === 'string' ? value : (value as { content?: unknown } | null)?.content;
    if (typeof content === 'string') tokens[name] = content;
  }
  return tokens;
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0)
    throw invalid('chat.messages', JSON.stringify(messages) ?? String(messages), 'at least one { role, content }');
  for (const [index, message] of messages.entries())
    if (typeof message?.role !== 'string' || message.role === '')
      throw invalid(`chat.messages[${index}]`, JSON.stringify(message) ?? String(message), '{ role, content }');
}
