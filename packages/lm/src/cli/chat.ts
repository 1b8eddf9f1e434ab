import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { createFile } from '@mamba/checkpoint';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import type { GenerateOptions } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Session } from '../session/session.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { byFlag } from './flags.ts';
import { print, remark, textOutput } from './terminal.ts';

export interface ChatFlags {
  readonly system?: string;
  /** A file with a saved session: it is loaded if it exists, and saved at the end. */
  readonly session?: string;
}

type Sampling = Omit<GenerateOptions, 'prompt' | 'state' | 'prefixCache' | 'draft' | 'batcher' | 'signal'>;

const HELP = '/save FILE, /load FILE, /undo, /reset, /quit';

/**
 * Reads lines and answers each. The conversation is a session, so that a turn reads its own tokens only, however long
 * the conversation is: the text that the template adds for the message, or the line itself without a template.
 */
export async function chat(
  lm: LanguageModel,
  flags: ChatFlags,
  sampling: Sampling,
  signal: AbortSignal,
): Promise<void> {
  if (flags.system !== undefined && lm.tokenizer?.chatTemplate === undefined)
    throw invalid('--system', 'a checkpoint without a chat template', 'none for it: nothing says how it is written');
  const conversation = new Conversation(lm, flags.system);
  try {
    if (flags.session !== undefined) await conversation.load(flags.session, true);
  } catch (error) {
    // Not saved: the file may be a session of another model.
    conversation.dispose();
    throw error;
  }
  try {
    remark(`${lm.tokenizer?.chatTemplate ? 'chat' : 'no chat template: text is continued as it is'}; ${HELP}`);
    await readLines(conversation, sampling, signal);
  } finally {
    try {
      if (flags.session !== undefined) await conversation.save(flags.session);
    } finally {
      conversation.dispose();
    }
  }
}

async function readLines(conversation: Conversation, sampling: Sampling, signal: AbortSignal): Promise<void> {
  // Created right before the loop: lines that arrive before it would be lost.
  const lines = createInterface({
    input: process.stdin,
    output: process.stderr,
    terminal: process.stdin.isTTY === true,
  });
  let open = true;
  lines.once('close', () => {
    open = false;
  });
  signal.addEventListener('abort', () => lines.close(), { once: true });
  // On a terminal, readline receives Ctrl-C instead of the process.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    lines.setPrompt(process.stdin.isTTY ? '> ' : '');
    lines.prompt();
    let first = true;
    for await (const read of lines) {
      // A file may begin with a byte order mark.
      const line = first ? read.replace(/^\ufeff/, '') : read;
      first = false;
      if (line.trim() === '/quit') break;
      try {
        if (line.startsWith('/')) await command(conversation, line.trim());
        else if (line !== '') await conversation.answer(line, sampling, signal);
      } catch (error) {
        // A wrong file or message must not end the conversation.
        if (!isMambaError(error) || signal.aborted) throw error;
        remark(`error: ${messageWithHelp(byFlag(error) as MambaError)}`);
      }
      // The input may end while its lines are still being processed.
      if (open) lines.prompt();
    }
    if (signal.aborted) throw new MambaError('aborted', 'chat was interrupted', { origin: 'chat' });
  } finally {
    lines.close();
  }
}

async function command(conversation: Conversation, line: string): Promise<void> {
  const [name, ...rest] = line.split(/\s+/);
  const file = rest.join(' ');
  if (name === '/save' && file !== '') await conversation.save(file);
  else if (name === '/load' && file !== '') await conversation.load(file);
  else if (name === '/undo') conversation.undo();
  else if (name === '/reset') conversation.reset();
  else remark(HELP);
}

class Conversation {
  readonly #lm: LanguageModel;
  readonly #system: string | undefined;
  #session: Session;
  /** The positions before each turn, oldest first. */
  #marks: ReturnType<Session['mark']>[] = [];

  constructor(lm: LanguageModel, system: string | undefined) {
    this.#lm = lm;
    this.#system = system;
    this.#session = lm.createSession();
  }

  async answer(line: string, sampling: Sampling, signal: AbortSignal): Promise<void> {
    const session = this.#session;
    const mark = session.mark();
    try {
      await session.append(this.#turn(line), { signal });
      const output = textOutput(signal);
      for await (const { text } of session.generate({ ...sampling, signal })) await output.write(text, 'model');
      await output.end();
      await print('\n', signal);
      this.#marks.push(mark);
    } catch (error) {
      if (!signal.aborted) {
        session.rewind(mark);
        session.release(mark);
      }
      throw error;
    }
  }

  /** Removes the last turn. */
  undo(): void {
    const mark = this.#marks.pop();
    if (mark === undefined) {
      remark('nothing to take back');
      return;
    }
    this.#session.rewind(mark);
    this.#session.release(mark);
  }

  reset(): void {
    this.#replace(this.#lm.createSession());
  }

  async save(file: string): Promise<void> {
    const bytes = await this.#session.save();
    const sink = await createFile(file);
    try {
      await sink.write(bytes);
      await sink.close();
    } catch (error) {
      await sink.abort();
      throw error;
    }
    remark(`${this.#session.length} tokens in ${file}, ${bytes.length} bytes`);
  }

  async load(file: string, optional = false): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(file);
    } catch (cause) {
      if (optional && (cause as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw new MambaError('io', `${file} cannot be read: ${(cause as Error).message}`, { origin: file, cause });
    }
    this.#replace(this.#lm.loadSession(bytes));
    remark(`${this.#session.length} tokens from ${file}`);
  }

  dispose(): void {
    this.#session.dispose();
  }

  #replace(session: Session): void {
    this.#session.dispose();
    this.#session = session;
    this.#marks = [];
  }

  /** The text that a message adds to the conversation, including the beginning of the answer. */
  #turn(line: string): string | number[] {
    const template = this.#lm.tokenizer?.chatTemplate;
    if (template === undefined) return line;
    const user: ChatMessage = { role: 'user', content: line };
    if (this.#session.length === 0) {
      const system = this.#system === undefined ? [] : [{ role: 'system', content: this.#system }];
      return this.#lm.encodeChat([...system, user]);
    }
    // Templates may refuse a conversation that begins with an assistant's message, and may add a text at the beginning.
    // So a short conversation is rendered with and without the message, and the common part is removed.
    const before: ChatMessage[] = [
      { role: 'user', content: 'a' },
      { role: 'assistant', content: 'b' },
    ];
    const opened = `${template.render(before.slice(0, 1))}b`;
    const whole = template.render([...before, user]);
    if (!whole.startsWith(opened)) return this.#lm.encodeChat([user]);
    return this.#lm.encode(whole.slice(opened.length));
  }
}
