import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { createFile } from '@mamba/checkpoint';
import { invalid, isMambaError, MambaError } from '@mamba/core';
import type { GenerateOptions } from '../generate/request.ts';
import type { LanguageModel } from '../language-model.ts';
import type { Session } from '../session/session.ts';
import type { ChatMessage } from '../tokenizer/chat-template.ts';
import { byFlag } from './flags.ts';
import { print, remark } from './terminal.ts';

export interface ChatFlags {
  readonly system?: string;
  /** A file that the conversation begins with, if it is there, and is saved to at the end. */
  readonly session?: string;
}

type Sampling = Omit<GenerateOptions, 'prompt' | 'state' | 'prefixCache' | 'draft' | 'batcher' | 'signal'>;

const HELP = '/save FILE, /load FILE, /undo, /reset, /quit';

/**
 * Reads lines and continues. The model's state is the conversation, so that a turn costs its own tokens alone, however
 * long it has become: with a template, what the template adds for a message; without one, the line as it is.
 */
export async function chat(
  lm: LanguageModel,
  flags: ChatFlags,
  sampling: Sampling,
  signal: AbortSignal,
): Promise<void> {
  if (flags.system !== undefined && lm.tokenizer?.chatTemplate === undefined)
    throw invalid('--system', 'a checkpoint without a chat template', 'none for it: nothing says how it is written');
  const talk = new Talk(lm, flags.system);
  try {
    if (flags.session !== undefined) await talk.load(flags.session, true);
  } catch (error) {
    // Nothing is saved over a file that is another model's, or damaged.
    talk.dispose();
    throw error;
  }
  try {
    remark(`${lm.tokenizer?.chatTemplate ? 'chat' : 'no chat template: text is continued as it is'}; ${HELP}`);
    await converse(talk, sampling, signal);
  } finally {
    try {
      if (flags.session !== undefined) await talk.save(flags.session);
    } finally {
      talk.dispose();
    }
  }
}

async function converse(talk: Talk, sampling: Sampling, signal: AbortSignal): Promise<void> {
  // Read from at once: lines that come before are lost.
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
  // With a terminal, Ctrl-C arrives here rather than as a signal.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    lines.setPrompt(process.stdin.isTTY ? '> ' : '');
    lines.prompt();
    let first = true;
    for await (const read of lines) {
      // Before the first line of a file there may be a byte order mark.
      const line = first ? read.replace(/^\ufeff/, '') : read;
      first = false;
      if (line.trim() === '/quit') break;
      try {
        if (line.startsWith('/')) await command(talk, line.trim());
        else if (line !== '') await talk.answer(line, sampling, signal);
      } catch (error) {
        // A wrong file or message is no reason to lose the conversation.
        if (!isMambaError(error) || signal.aborted) throw error;
        remark(`error: ${(byFlag(error) as Error).message}`);
      }
      // The input may have ended while lines of it wait.
      if (open) lines.prompt();
    }
    if (signal.aborted) throw new MambaError('aborted', 'chat was interrupted', { origin: 'chat' });
  } finally {
    lines.close();
  }
}

async function command(talk: Talk, line: string): Promise<void> {
  const [name, ...rest] = line.split(/\s+/);
  const file = rest.join(' ');
  if (name === '/save' && file !== '') await talk.save(file);
  else if (name === '/load' && file !== '') await talk.load(file);
  else if (name === '/undo') talk.undo();
  else if (name === '/reset') talk.reset();
  else remark(HELP);
}

class Talk {
  readonly #lm: LanguageModel;
  readonly #system: string | undefined;
  #session: Session;
  /** Before each turn, oldest first. */
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
      for await (const { text } of session.generate({ ...sampling, signal })) await print(text, signal);
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

  /** Takes back the last turn. */
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

  /** What a message adds to the conversation: the template writes it alone, and a beginning only at the beginning. */
  #turn(line: string): string | number[] {
    const template = this.#lm.tokenizer?.chatTemplate;
    if (template === undefined) return line;
    const user: ChatMessage = { role: 'user', content: line };
    if (this.#session.length === 0) {
      const system = this.#system === undefined ? [] : [{ role: 'system', content: this.#system }];
      return this.#lm.encodeChat([...system, user]);
    }
    // Templates may refuse a conversation that does not begin with the user; what stands before the answer is cut off
    // again.
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
