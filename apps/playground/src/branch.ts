import type { WorkerLanguageModel, WorkerSession } from '@mamba/lm/worker';
import type { KeptBranch } from './kept.ts';

/** A run of text that was read from the user, or written by the model. */
export interface Segment {
  readonly kind: 'read' | 'written';
  readonly text: string;
}

/** The known past of a session. The session itself holds only the state. */
export interface Transcript {
  readonly segments: readonly Segment[];
  readonly ids: readonly number[];
}

/** A place to come back to: the session as it was there, saved. Forks share it. */
export interface MarkedPlace extends Transcript {
  /** Another one for each place of a branch. */
  readonly id: number;
  /** Tokens before it. */
  readonly length: number;
  readonly saved: Uint8Array;
}

const EMPTY: Transcript = { segments: [], ids: [] };

/** The text of all segments. */
export function textOf({ segments }: Pick<Transcript, 'segments'>): string {
  return segments.map(({ text }) => text).join('');
}

/** The time that a token took, at a place of the sequence. */
export interface TokenTime {
  /** Tokens up to and with this one. */
  readonly at: number;
  readonly milliseconds: number;
  readonly kind: Segment['kind'];
}

/** Most times that are kept of a branch. Beyond, every second one is dropped. */
const MOST_TIMES = 1024;

/** Tokens that are read between two reports of progress. */
const READ_CHUNK = 256;

/** Where a branch comes from. */
export interface Origin {
  readonly parent: Branch;
  /** Tokens that both have. */
  readonly length: number;
}

/** A session with the text that led to it. */
export class Branch {
  readonly id: number;
  readonly name: string;
  transcript: Transcript;
  places: readonly MarkedPlace[] = [];
  /** The last times of tokens, thinned out. */
  times: readonly TokenTime[] = [];
  readonly origin: Origin | undefined;
  #session: WorkerSession;
  /** Tokens that the running call has taken, and that the session does not tell of before it ends. */
  ahead = 0;
  /** The session, saved as it was with this transcript. */
  #saved: { readonly transcript: Transcript; readonly bytes: Uint8Array } | undefined;

  constructor(id: number, name: string, session: WorkerSession, transcript: Transcript = EMPTY, origin?: Origin) {
    this.id = id;
    this.name = name;
    this.#session = session;
    this.transcript = transcript;
    this.origin = origin;
  }

  get session(): WorkerSession {
    return this.#session;
  }

  /** Tokens so far, also while a call runs. */
  get length(): number {
    return this.session.length + this.ahead;
  }

  /** Tokens that the session has seen before the transcript begins: not 0 for a long one that came from a file. */
  get forgotten(): number {
    return Math.max(0, this.session.length - this.transcript.ids.length);
  }

  /** Reads text, or ids where the model has no tokenizer. */
  async read(
    lm: WorkerLanguageModel,
    input: string,
    signal: AbortSignal,
    onProgress: (done: number, total: number) => void,
  ): Promise<void> {
    const { hasTokenizer, specialTokens } = lm.info;
    const ids = hasTokenizer ? await lm.encode(input) : parseIds(input);
    const before = this.session.length;
    let [then, seen] = [performance.now(), 0];
    onProgress(0, ids.length);
    try {
      await this.session.append(hasTokenizer ? input : ids, {
        signal,
        chunk: READ_CHUNK,
        onProgress: (done) => {
          const now = performance.now();
          this.note(before + done, (now - then) / Math.max(1, done - seen), 'read');
          [then, seen] = [now, done];
          this.ahead = done;
          onProgress(done, ids.length);
        },
      });
    } finally {
      this.ahead = 0;
    }
    // The session keeps the last token for its next call, and does not report it. A tokenizer may put one before the
    // first text.
    const read = this.session.length - before;
    onProgress(read, read);
    const begins = read - ids.length === 1 && specialTokens.bos !== undefined;
    this.add('read', hasTokenizer ? input : `${ids.join(' ')} `, begins ? [specialTokens.bos!, ...ids] : ids);
  }

  add(kind: Segment['kind'], text: string, ids: readonly number[]): void {
    const { segments } = this.transcript;
    const last = segments.at(-1);
    const joined = last?.kind === kind ? [...segments.slice(0, -1), { kind, text: last.text + text }] : undefined;
    this.transcript = {
      segments: text === '' ? segments : (joined ?? [...segments, { kind, text }]),
      ids: [...this.transcript.ids, ...ids],
    };
  }

  /** Notes the time that a token took. */
  note(at: number, milliseconds: number, kind: Segment['kind']): void {
    const times = [...this.times, { at, milliseconds, kind }];
    this.times = times.length > MOST_TIMES ? times.filter((_, index) => index % 2 === 1) : times;
  }

  async mark(): Promise<MarkedPlace> {
    const id = 1 + Math.max(0, ...this.places.map((place) => place.id));
    const place = { ...this.transcript, id, length: this.session.length, saved: await this.saved() };
    this.places = [...this.places, place];
    return place;
  }

  async rewind(lm: WorkerLanguageModel, { segments, ids, length, saved }: MarkedPlace): Promise<void> {
    const session = await lm.loadSession(saved);
    const before = this.#session;
    this.#session = session;
    this.transcript = { segments, ids };
    this.#saved = { transcript: this.transcript, bytes: saved };
    this.times = this.times.filter(({ at }) => at <= length);
    await before.dispose();
  }

  /** The session as bytes. It is saved again only where it went on since it was last. */
  async saved(): Promise<Uint8Array> {
    const { transcript } = this;
    if (this.#saved?.transcript !== transcript) this.#saved = { transcript, bytes: await this.session.save() };
    return this.#saved.bytes;
  }

  /** The branch as data. */
  async kept(): Promise<KeptBranch> {
    const { id, name, places, times, origin, transcript } = this;
    return {
      ...{ id, name, places, times, ...transcript, saved: await this.saved() },
      origin: origin && { parent: origin.parent.id, length: origin.length },
    };
  }

  /** Opens branches that were kept, each behind the one that it comes from. */
  static async open(lm: WorkerLanguageModel, kept: readonly KeptBranch[]): Promise<readonly Branch[]> {
    const opened: Branch[] = [];
    for (const { id, name, saved, segments, ids, places, times, origin } of kept) {
      const parent = opened.find((branch) => branch.id === origin?.parent);
      const branch = new Branch(
        id,
        name,
        await lm.loadSession(saved),
        { segments, ids },
        parent && { parent, length: origin!.length },
      );
      branch.#saved = { transcript: branch.transcript, bytes: saved };
      branch.places = places;
      branch.times = times;
      opened.push(branch);
    }
    return opened;
  }

  release(released: MarkedPlace): void {
    this.places = this.places.filter((place) => place !== released);
  }

  async fork(id: number, name: string): Promise<Branch> {
    return this.continued(id, name, await this.session.fork());
  }

  /** A branch of a session that has this one's state. The marks go along. */
  continued(id: number, name: string, session: WorkerSession): Branch {
    const branch = new Branch(id, name, session, this.transcript, { parent: this, length: this.session.length });
    branch.#saved = this.#saved;
    branch.times = this.times;
    branch.places = this.places;
    return branch;
  }
}

function parseIds(text: string): readonly number[] {
  const words = text.split(/[\s,]+/).filter(Boolean);
  const wrong = words.find((word) => !/^\d+$/.test(word));
  if (wrong !== undefined)
    throw new Error(`This model has no tokenizer: write token ids, such as “1 2 3”, instead of “${wrong}”.`);
  return words.map(Number);
}
