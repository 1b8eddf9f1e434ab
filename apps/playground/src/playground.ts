import { isMambaError } from '@mamba/core';
import type { WorkerLanguageModel } from '@mamba/lm/worker';
import { bookOf } from './book.ts';
import { Branch, type MarkedPlace } from './branch.ts';
import { download } from './download.ts';
import { openEndings, writeEndings } from './endings.ts';
import { errorWords } from './error-words.ts';
import { bytes as bytesInWords, count } from './format.ts';
import { keep, recall } from './kept.ts';
import type { Setting } from './link.ts';
import { type LoadedModel, noticeLoss, openModel, type Progress, type Weights } from './model.ts';
import { type Pace, pacer } from './pace.ts';
import type { SamplingFields } from './sampling.ts';
import { SELECTION_EXAMPLE } from './selection/example.ts';
import { INITIAL_VIEW, type Look, Looks, type View } from './selection/looks.ts';
import type { Source } from './source.ts';
import { probeBackends } from './worker/engine.ts';
import type { BackendName, BackendReport } from './worker/protocol.ts';
import { DEFAULT_TOKENS, type GenerateOptions, write } from './writing.ts';

/** The work that runs; there is one at a time. */
export type Busy = 'load' | 'read' | 'generate' | 'other';

/** An error in words, and the part of the page that it belongs to. */
export interface PageError {
  readonly place: 'model' | 'text' | 'selection';
  readonly words: string;
}

/** What users do about an error here, where its own remedy is for programs. */
const REMEDIES = { 'device-lost': 'Load the model again.' };
/** A beginning to try, and one for models without a tokenizer. */
const EXAMPLE_PROMPT = 'In the beginning';
const EXAMPLE_IDS = '1 2 3';
/** Tokens of the long text that the page offers. */
const BOOK_TOKENS = 50_000;

/** The state and the actions of the page, without its components. It calls `changed` after every change. */
export class Playground {
  backends: readonly BackendReport[] | undefined;
  model: LoadedModel | undefined;
  /** Where the model comes from. */
  loadedFrom: { readonly source: Source; readonly weights: Weights } | undefined;
  /** The progress of a load. */
  progress: Progress | undefined;
  branches: readonly Branch[] = [];
  branch: Branch | undefined;
  busy: Busy | undefined;
  pace: Pace | undefined;
  /** The text of the composer, and the settings beside it. They stay as they are when another model is loaded. */
  prompt: string;
  sampling: SamplingFields;
  /** What a link to the page brought along. */
  readonly linked: Setting;
  deviceBytes: number | undefined;
  watching = true;
  view: View = INITIAL_VIEW;
  /** The text of the status line. */
  status = '';
  error: PageError | undefined;
  readonly #changed: () => void;
  #aborter: AbortController | undefined;
  #nextBranch = 1;
  #looks: Looks | undefined;

  /** @param linked What a link to the page brought along. */
  constructor(changed: () => void, linked: Setting) {
    this.#changed = changed;
    this.linked = linked;
    this.sampling = linked.fields;
    this.prompt = linked.prompt ?? EXAMPLE_PROMPT;
  }

  /** What a link to the page as it is now holds. Where nothing is to be added, the text that was read last is meant. */
  get setting(): Setting {
    const { loadedFrom, sampling: fields } = this;
    const source = loadedFrom?.source.kind === 'files' ? undefined : loadedFrom?.source;
    const read = this.branch?.transcript.segments.findLast(({ kind }) => kind === 'read')?.text;
    return { source, weights: loadedFrom?.weights, prompt: this.prompt || read, fields };
  }

  /** The view of delta over the branch's text, as it was computed last. */
  get look(): Look | undefined {
    return this.#looks?.look;
  }

  /** Whether one is computed now. */
  get looking(): boolean {
    return this.#looks?.looking === true;
  }

  async probe(): Promise<void> {
    try {
      this.backends = await probeBackends();
    } catch (error) {
      this.backends = [];
      this.error = { place: 'model', words: errorWords(error, REMEDIES) };
    }
    this.#changed();
  }

  /** Loads a model. The one before stays until the new one is loaded. */
  async load(source: Source, backend: BackendName, weights: Weights): Promise<void> {
    await this.#run('load', 'Loading …', async (signal) => {
      const before = this.model;
      const engine = before?.engine.backend === backend && !before.engine.lost ? before.engine : undefined;
      const { model, session } = await openModel(source, {
        ...{ backend, weights, signal, engine },
        onProgress: (progress) => {
          this.progress = progress;
          this.#changed();
        },
      }).finally(() => {
        this.progress = undefined;
      });
      const { lm, title } = model;
      this.model = model;
      this.loadedFrom = { source, weights };
      // A look of the model before that is still computed is dropped.
      this.#looks?.forget();
      this.#looks = new Looks(lm, this.#changed);
      this.#nextBranch = 1;
      this.branch = new Branch(this.#nextBranch++, 'Branch 1', session);
      this.branches = [this.branch];
      // After a reload the page goes on where it was; later loads begin anew.
      const recalled = before === undefined ? await this.#recall(lm) : 0;
      if (!lm.info.hasTokenizer && this.prompt === EXAMPLE_PROMPT) this.prompt = EXAMPLE_IDS;
      if (before !== undefined && before.engine !== model.engine) before.engine.end();
      else await before?.lm.dispose();
      this.pace = undefined;
      const again = recalled === 0 ? '' : ` ${count(recalled, 'branch', 'branches')} of your last visit came back.`;
      return `${title} is loaded, on ${lm.info.backend.description}.${again}`;
    });
  }

  /** Opens the branches that this browser kept of the model. @returns how many they are. */
  async #recall(lm: WorkerLanguageModel): Promise<number> {
    try {
      const kept = await recall(lm.info.fingerprint);
      if (kept === undefined) return 0;
      const branches = await Branch.open(lm, kept.branches);
      const [empty] = this.branches;
      this.branches = branches;
      this.branch = branches.find(({ id }) => id === kept.shown) ?? branches[0]!;
      this.#nextBranch = 1 + Math.max(...branches.map(({ id }) => id));
      await empty?.session.dispose();
      return branches.length;
    } catch {
      // A browser that keeps nothing, or states of another version: the page begins anew.
      return 0;
    }
  }

  /** Keeps all branches that have a text for the next visit. @returns what to say where the browser does not. */
  async #keep(): Promise<string> {
    const { model, branch } = this;
    if (model === undefined || branch === undefined) return '';
    const branches = [];
    for (const other of this.branches) if (other.transcript.ids.length > 0) branches.push(await other.kept());
    try {
      await keep({ fingerprint: model.lm.info.fingerprint, shown: branch.id, branches });
      return '';
    } catch (error) {
      return ` It is not kept for a reload: ${errorWords(error, REMEDIES)}`;
    }
  }

  /** Loads the shipped model where none is loaded, and has it read and write a text that shows the selection. */
  async showSelection(backend: BackendName): Promise<void> {
    if (this.model === undefined) await this.load({ kind: 'shipped' }, backend, 'float32');
    if (this.model === undefined) return;
    if (this.branch!.length > 0) await this.newBranch();
    if (!this.watching) this.watch(true);
    this.setView({ token: Number.POSITIVE_INFINITY, layer: -1 });
    await this.generate(SELECTION_EXAMPLE, { maxTokens: 48, temperature: 0.7, topP: 0.95, seed: 7 });
  }

  /** Reads the input, if there is any, and generates text. */
  async generate(input: string, options: GenerateOptions): Promise<void> {
    const { lm } = this.model!;
    const branch = this.branch!;
    await this.#run('generate', 'Generating …', async (signal) => {
      if (input !== '') await this.#read(branch, lm, input, signal);
      const measure = this.#pacer('written', options.maxTokens ?? DEFAULT_TOKENS);
      const looks = this.#looks!;
      const { tokens, reason } = await write(
        lm,
        branch,
        { ...options, signal },
        {
          onToken: (tokens, since, now) => {
            // A look has the worker for itself: such times are not those of a token.
            if (!looks.looking && looks.ended < since) branch.note(branch.length, now - since, 'written');
            measure(tokens);
            this.#lookNowAndThen();
          },
          onChange: this.#changed,
        },
      );
      return `${count(tokens, 'token')} written: ${reason}.`;
    });
  }

  /** Saves the branch's state, opens it twice, and has both copies go on at once, each from a seed of its own. */
  async writeEndings(options: GenerateOptions): Promise<void> {
    const { lm } = this.model!;
    const parent = this.branch!;
    await this.#run('generate', 'Writing two endings …', async (signal) => {
      const { branches, file } = await openEndings(lm, parent, {
        firstId: this.#nextBranch,
        nameOf: (id) => `Branch ${id}`,
      });
      this.#nextBranch += branches.length;
      this.branches = [...this.branches, ...branches];
      this.branch = branches[0]!;
      const measure = this.#pacer('written', branches.length * (options.maxTokens ?? DEFAULT_TOKENS));
      const tokens = await writeEndings(lm, branches, { ...options, signal }, (tokens) => {
        measure(tokens);
        this.#lookNowAndThen();
        this.#changed();
      });
      return `${count(tokens, 'token')} written, in two endings from one file of ${bytesInWords(file.length)}.`;
    });
  }

  /** Reads the page's example text over and over, up to some 50,000 tokens. */
  async readBook(): Promise<void> {
    await this.#run('read', 'Reading …', async (signal) => {
      const { lm } = this.model!;
      await this.#read(this.branch!, lm, await bookOf(lm, BOOK_TOKENS), signal);
      return `${count(this.branch!.length, 'token')} are read.`;
    });
  }

  /** Reads the input without generating. @returns whether it was read. */
  async read(input: string): Promise<boolean> {
    let done = false;
    await this.#run('read', 'Reading …', async (signal) => {
      await this.#read(this.branch!, this.model!.lm, input, signal);
      done = true;
      return 'The text is read.';
    });
    return done;
  }

  async #read(branch: Branch, lm: WorkerLanguageModel, input: string, signal: AbortSignal): Promise<void> {
    let measure: ((tokens: number) => void) | undefined;
    await branch.read(lm, input, signal, (done, total) => {
      measure ??= this.#pacer('read', total);
      measure(done);
      this.#changed();
    });
  }

  /** Gives a function that is told how many tokens are done, and keeps the pace. It is told of none at once. */
  #pacer(what: Pace['what'], total: number): (tokens: number) => void {
    const pace = pacer(what, total);
    const measure = (tokens: number): void => {
      this.pace = pace(tokens);
    };
    measure(0);
    return measure;
  }

  /** Ends the work that runs: a load, a reading or a generation. */
  stop(): void {
    this.#aborter?.abort();
  }

  mark(): Promise<void> {
    return this.#run('other', '', async () => `Marked at ${count((await this.branch!.mark()).length, 'token')}.`);
  }

  rewind(place: MarkedPlace): Promise<void> {
    return this.#run('other', '', async () => {
      await this.branch!.rewind(this.model!.lm, place);
      return `Rewound to ${count(place.length, 'token')}.`;
    });
  }

  releaseMark(place: MarkedPlace): Promise<void> {
    return this.#run('other', '', async () => {
      this.branch!.release(place);
      return 'The mark is removed.';
    });
  }

  fork(): Promise<void> {
    return this.#run('other', '', async () => {
      const id = this.#nextBranch++;
      this.#adopt(await this.branch!.fork(id, `Branch ${id}`));
      return `Forked: this is branch ${id} now. The one before is as it was.`;
    });
  }

  newBranch(): Promise<void> {
    return this.#run('other', '', async () => {
      const id = this.#nextBranch++;
      this.#adopt(new Branch(id, `Branch ${id}`, await this.model!.lm.createSession()));
      return `Branch ${id} is new and empty.`;
    });
  }

  closeBranch(): Promise<void> {
    return this.#run('other', '', async () => {
      const closed = this.branch!;
      await closed.session.dispose();
      const index = this.branches.indexOf(closed);
      this.branches = this.branches.filter((branch) => branch !== closed);
      this.branch = this.branches[Math.min(index, this.branches.length - 1)]!;
      return `${closed.name} is closed; this is ${this.branch.name.toLowerCase()}.`;
    });
  }

  show(branch: Branch): void {
    this.branch = branch;
    this.pace = undefined;
    this.#changed();
    void this.refreshLook();
  }

  /** Saves the branch as a file. It holds the state and the last tokens, and has one size at any length. */
  async save(): Promise<void> {
    await this.#run('other', '', async () => {
      const bytes = await this.branch!.saved();
      const name = `${this.branch!.session.length}-tokens.mamba-session`;
      download(bytes, name);
      return `Saved as ${name}.`;
    });
  }

  async open(file: File): Promise<void> {
    await this.#run('other', 'Opening …', async () => {
      const { lm } = this.model!;
      const bytes = new Uint8Array(await file.arrayBuffer());
      const session = await lm.loadSession(bytes);
      const ids = await session.recent();
      const text = ids.length === 0 ? '' : lm.info.hasTokenizer ? await lm.decode(ids) : `${ids.join(' ')} `;
      const id = this.#nextBranch++;
      this.#adopt(
        new Branch(id, `Branch ${id}: ${file.name}`, session, { segments: text ? [{ kind: 'read', text }] : [], ids }),
      );
      return `Opened ${file.name} as branch ${id}, at ${count(session.length, 'token')}.`;
    });
  }

  setPrompt(prompt: string): void {
    this.prompt = prompt;
    this.#changed();
  }

  /** Changes fields. The page is drawn once a frame, so what it shows may be older than `sampling`. */
  setSampling(fields: Partial<SamplingFields>): void {
    this.sampling = { ...this.sampling, ...fields };
    this.#changed();
  }

  setView(view: Partial<View>): void {
    this.view = { ...this.view, ...view };
    this.#changed();
  }

  watch(on: boolean): void {
    this.watching = on;
    if (!on) this.#looks?.release();
    this.#changed();
    if (on) void this.refreshLook();
  }

  /** Shows words on the status line. */
  say(words: string): void {
    this.status = words;
    this.#changed();
  }

  dismissError(): void {
    this.error = undefined;
    this.#changed();
  }

  /** Computes delta of the branch's text, where it is watched. */
  async refreshLook(): Promise<void> {
    const { model, branch } = this;
    if (!this.watching || model === undefined || branch === undefined || model.engine.lost) return;
    try {
      await this.#looks!.refresh(branch);
    } catch (error) {
      noticeLoss(model, error);
      this.error = { place: 'selection', words: `The selection cannot be shown: ${errorWords(error, REMEDIES)}` };
      this.#changed();
    }
  }

  /** Looks at what is written so far, if the last look is long enough ago. */
  #lookNowAndThen(): void {
    if (this.watching && this.#looks?.isDue()) void this.refreshLook();
  }

  #adopt(branch: Branch): void {
    this.branches = [...this.branches, branch];
    this.branch = branch;
    this.pace = undefined;
  }

  async #run(busy: Busy, beginning: string, act: (signal: AbortSignal) => Promise<string>): Promise<void> {
    if (this.busy !== undefined) return;
    this.busy = busy;
    this.status = beginning;
    this.error = undefined;
    this.#aborter = new AbortController();
    this.#changed();
    try {
      const words = await act(this.#aborter.signal);
      this.deviceBytes = (await this.model?.engine.connection.memory())?.bytes;
      const notKept = busy === 'load' ? '' : await this.#keep();
      // Not before the page takes the next action: a look may draw it in between.
      this.status = words + notKept;
    } catch (error) {
      if (this.model !== undefined) noticeLoss(this.model, error);
      this.status = isMambaError(error, 'aborted') ? 'Cancelled.' : '';
      if (!isMambaError(error, 'aborted'))
        this.error = { place: busy === 'load' ? 'model' : 'text', words: errorWords(error, REMEDIES) };
    } finally {
      this.busy = undefined;
      this.#aborter = undefined;
    }
    this.#changed();
    await this.refreshLook();
  }
}
