import { Environment, Template } from '@huggingface/jinja';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import { bounded } from '#bounds';
import { templateGlobals } from './template-globals.ts';
import { LimitedInterpreter, TEMPLATE_REMEDY } from './template-limits.ts';

/** A message of a conversation, as the template of a checkpoint takes it. */
export interface ChatMessage {
  /** `system`, `user`, `assistant`, or another role that the template knows. */
  readonly role: string;
  readonly content: string;
  /** Further fields that the template uses, such as a name or tool calls. */
  readonly [field: string]: unknown;
}

/** How a conversation becomes a text. */
export interface ChatOptions {
  /** Ends the text with the beginning of the assistant's answer. Default true. */
  readonly addGenerationPrompt?: boolean | undefined;
  /** Further variables for the template, such as `tools` or `documents`. */
  readonly variables?: Readonly<Record<string, unknown>> | undefined;
}

/** Time limit, for what the limit of steps does not cover: the parser, and single operations. */
const RENDER_MS = 5000;

/**
 * Formats a conversation for a model: a Jinja template of `tokenizer_config.json` or `chat_template.jinja`.
 */
export class ChatTemplate {
  readonly source: string;
  readonly #origin: string;
  readonly #tokens: Readonly<Record<string, string>>;
  /** Parsed when first used, so that a broken template does not prevent loading. */
  #template: Template | undefined;

  /**
   * @param tokens Special tokens by their names in templates: `bos_token`, `eos_token`.
   * @param origin Names the template in errors.
   */
  constructor(source: string, tokens: Readonly<Record<string, string>> = {}, origin = 'chat_template') {
    this.source = source;
    this.#tokens = tokens;
    this.#origin = origin;
  }

  /**
   * Formats a conversation as the text of a prompt. The text already has its special tokens: encode it without adding
   * more.
   * @throws MambaError `invalid-argument` for malformed messages and those that the template refuses; `invalid-file`
   * for a template that is broken, takes too many steps, or writes too much.
   */
  render(messages: readonly ChatMessage[], options: ChatOptions = {}): string {
    checkMessages(messages);
    const { addGenerationPrompt = true, variables = {} } = options;
    return bounded({ origin: this.#origin, milliseconds: RENDER_MS, remedy: TEMPLATE_REMEDY }, () => {
      const template = this.#parse();
      const scope = new Environment();
      const given = {
        ...templateGlobals(this.#origin),
        ...variables,
        ...this.#tokens,
        messages: messages.map((message) => ({ ...message })),
        add_generation_prompt: addGenerationPrompt,
      };
      try {
        for (const [name, value] of Object.entries(given)) scope.set(name, value);
        return (new LimitedInterpreter(scope, this.#origin).run(template.parsed) as { readonly value: string }).value;
      } catch (cause) {
        if (isMambaError(cause)) throw cause;
        // A stack overflow, or a string that is too long for JavaScript.
        if (cause instanceof RangeError) throw this.#broken(cause);
        const reason = cause instanceof Error ? cause.message : String(cause);
        throw new MambaError('invalid-argument', `the chat template refuses the messages: ${reason}`, {
          origin: this.#origin,
          cause,
        });
      }
    });
  }

  #parse(): Template {
    try {
      this.#template ??= new Template(this.source);
      return this.#template;
    } catch (cause) {
      throw this.#broken(cause);
    }
  }

  #broken(cause: unknown): MambaError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new MambaError('invalid-file', `${this.#origin} cannot be used: ${reason}`, {
      origin: this.#origin,
      remedy: TEMPLATE_REMEDY,
      cause,
    });
  }
}

/**
 * The template of a `tokenizer_config.json`; if it has several by name, the one called `default`. Undefined if it has
 * none.
 * @throws MambaError `invalid-file` for a malformed template.
 */
export function chatTemplate(config: unknown, origin: string): ChatTemplate | undefined {
  const fields = (config ?? {}) as Readonly<Record<string, unknown>>;
  const given = fields.chat_template;
  if (given === undefined || given === null) return undefined;
  const named = Array.isArray(given)
    ? (given as readonly ({ name?: unknown; template?: unknown } | null)[]).find((one) => one?.name === 'default')
        ?.template
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
