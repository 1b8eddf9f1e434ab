import type { WorkerLanguageModel, WorkerSession } from '@mamba/lm/worker';

type Mark = WorkerSession['marks'][number];

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

export interface MarkedPlace extends Transcript {
  readonly mark: Mark;
}

const EMPTY: Transcript = { segments: [], ids: [] };

/** A session with the text that led to it. */
export class Branch {
  readonly id: number;
  readonly name: string;
  readonly session: WorkerSession;
  transcript: Transcript;
  places: readonly MarkedPlace[] = [];

  constructor(id: number, name: string, session: WorkerSession, transcript: Transcript = EMPTY) {
    this.id = id;
    this.name = name;
    this.session = session;
    this.transcript = transcript;
  }

  /** Tokens that the session has seen before the transcript begins: not 0 for a long one that came from a file. */
  get forgotten(): number {
    return Math.max(0, this.session.length - this.transcript.ids.length);
  }

  /** Reads text, or ids where the model has no tokenizer. */
  async read(lm: WorkerLanguageModel, input: string, signal: AbortSignal): Promise<void> {
    const { hasTokenizer, specialTokens } = lm.info;
    const ids = hasTokenizer ? await lm.encode(input) : parseIds(input);
    const before = this.session.length;
    await this.session.append(hasTokenizer ? input : ids, { signal });
    // A tokenizer may put a token before the first text.
    const begins = this.session.length - before - ids.length === 1 && specialTokens.bos !== undefined;
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

  async mark(): Promise<MarkedPlace> {
    const place = { ...this.transcript, mark: await this.session.mark() };
    this.places = [...this.places, place].filter(({ mark }) => this.session.marks.some(({ id }) => id === mark.id));
    return place;
  }

  async rewind({ mark, segments, ids }: MarkedPlace): Promise<void> {
    await this.session.rewind(mark);
    this.transcript = { segments, ids };
  }

  async release({ mark }: MarkedPlace): Promise<void> {
    await this.session.release(mark);
    this.places = this.places.filter((place) => place.mark.id !== mark.id);
  }

  async fork(id: number, name: string): Promise<Branch> {
    return new Branch(id, name, await this.session.fork(), this.transcript);
  }
}

function parseIds(text: string): readonly number[] {
  const words = text.split(/[\s,]+/).filter(Boolean);
  const wrong = words.find((word) => !/^\d+$/.test(word));
  if (wrong !== undefined)
    throw new Error(`This model has no tokenizer: write token ids, such as “1 2 3”, instead of “${wrong}”.`);
  return words.map(Number);
}
