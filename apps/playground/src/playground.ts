import { isMambaError } from '@mamba/core';
import type { DeltaMap, LoadOptions } from '@mamba/lm';
import type { WorkerLanguageModel, WorkerSelection, WorkerSession } from '@mamba/lm/worker';
import { Branch, type MarkedPlace, type Transcript, textOf } from './branch.ts';
import { download } from './download.ts';
import { errorWords } from './error-words.ts';
import { bytes as bytesInWords, count } from './format.ts';
import { hubIdOfAddress } from './hub-id.ts';
import { keep, recall } from './kept.ts';
import type { Setting } from './link.ts';
import type { SamplingFields } from './sampling.ts';
import { type Alignment, align } from './selection/align.ts';
import type { Scale } from './selection/summary.ts';
import example from './training/example.txt?raw';
import { Engine, probeBackends } from './worker/engine.ts';
import type { BackendName, BackendReport } from './worker/protocol.ts';

export type Source =
  | { readonly kind: 'shipped' }
  | { readonly kind: 'hub'; readonly id: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'files'; readonly files: readonly File[] };

export type GenerateOptions = NonNullable<Parameters<WorkerSession['generate']>[0]>;

/** The type that matrices are stored in on the backend. */
export type Weights = NonNullable<LoadOptions['weights']>;

/** The work that runs; there is one at a time. */
export type Busy = 'load' | 'read' | 'generate' | 'other';

export interface LoadedModel {
  readonly lm: WorkerLanguageModel;
  readonly engine: Engine;
  readonly title: string;
}

/** What was done with the last text: how much of it, and how fast. */
export interface Pace {
  readonly what: 'read' | 'written';
  readonly tokens: number;
  /** Tokens in all, or at most. */
  readonly total: number;
  /** Tokens a second, over the last tokens; undefined before there are two times. */
  readonly perSecond: number | undefined;
}

/** An error in words, and the part of the page that it belongs to. */
export interface PageError {
  readonly place: 'model' | 'text' | 'selection';
  readonly words: string;
}

/** A view of delta over a branch's text. */
export interface Look {
  readonly map: DeltaMap;
  /** The text of each token. */
  readonly labels: readonly string[];
  readonly branch: Branch;
  /** Where the tokens lie in the branch's text. */
  readonly place: Alignment;
  /** Tokens of the session before the first of the map. */
  readonly skipped: number;
}

/** What is chosen of a look. */
export interface View {
  /** Infinite for the last one. */
  readonly token: number;
  /** -1 for all. */
  readonly layer: number;
  readonly scale: Scale;
}

export interface Progress {
  readonly what: string;
  readonly done: number;
  readonly total: number;
  readonly unit: 'bytes' | 'tensors';
}

/** The address of the shipped model. */
export const SHIPPED = 'models/kjv-mamba/';
/** What users do about an error here, where its own remedy is for programs. */
const REMEDIES = { 'device-lost': 'Load the model again.' };
/** A beginning to try, and one for models without a tokenizer. */
const EXAMPLE_PROMPT = 'In the beginning';
const EXAMPLE_IDS = '1 2 3';
/** A text whose names and verbs the shipped model lets in, and whose particles it passes over. */
const SELECTION_EXAMPLE = 'And the LORD spake unto Moses, saying, Speak unto the children of Israel,';
/** Tokens of the long text that the page offers. */
export const BOOK_TOKENS = 50_000;
/** Branches that go on at once from one state. */
const ENDINGS = 2;
/** The temperature of two endings where the form has 0, at which both would be alike. */
const ENDINGS_TEMPERATURE = 0.8;
/** Most tokens of a map. */
const LOOK_TOKENS = 512;
/** Tokens that are written where the form does not say. */
const DEFAULT_TOKENS = 120;
/** Times over which the speed is averaged. */
const PACE_WINDOW = 32;
/** Least milliseconds between two looks while the model writes. */
const LOOK_INTERVAL = 600;
/** A look while the model writes may take one part of the time in this many. */
const LOOK_SHARE = 5;

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
  look: Look | undefined;
  view: View = { token: Number.POSITIVE_INFINITY, layer: -1, scale: 'layer' };
  looking = false;
  /** The text of the status line. */
  status = '';
  error: PageError | undefined;
  readonly #changed: () => void;
  #aborter: AbortController | undefined;
  #nextBranch = 1;
  /** Counts the requests for a look, so that an outdated one is not shown. */
  #looks = 0;
  #looked: Transcript | undefined;
  /** When the last look began that was not asked for, and how many milliseconds the last one took. */
  #lookBegan = 0;
  #lookTook = 0;
  #lookEnded = 0;
  /** The model's selection, which is opened with the first look at it. */
  #selection: Promise<WorkerSelection> | undefined;
  readonly #labels = new Map<number, string>();

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
      const { location, title } = locate(source);
      let recalled = 0;
      const kept = before?.engine.backend === backend && !before.engine.lost ? before.engine : undefined;
      const engine = kept ?? (await Engine.start(backend));
      try {
        const lm = await engine.connection.load(location, {
          ...{ signal, weights },
          onDownload: ({ file, bytes, totalBytes }) => {
            this.progress = { what: `Downloading ${file}`, done: bytes, total: totalBytes, unit: 'bytes' };
            this.#changed();
          },
          onProgress: (done, total) => {
            this.progress = { what: 'Tensors loaded', done, total, unit: 'tensors' };
            this.#changed();
          },
        });
        const session = await lm.createSession();
        this.model = { lm, engine, title };
        this.loadedFrom = { source, weights };
        this.#selection = undefined;
        this.#forgetLook();
        this.#labels.clear();
        this.#nextBranch = 1;
        this.branch = new Branch(this.#nextBranch++, 'Branch 1', session);
        this.branches = [this.branch];
        // After a reload the page goes on where it was; later loads begin anew.
        if (before === undefined) recalled = await this.#recall(lm);
        if (!lm.info.hasTokenizer && this.prompt === EXAMPLE_PROMPT) this.prompt = EXAMPLE_IDS;
      } catch (error) {
        if (engine !== before?.engine) engine.end();
        throw error;
      } finally {
        this.progress = undefined;
      }
      if (before !== undefined && before.engine !== engine) before.engine.end();
      else await before?.lm.dispose();
      this.pace = undefined;
      const again = recalled === 0 ? '' : ` ${count(recalled, 'branch', 'branches')} of your last visit came back.`;
      return `${title} is loaded, on ${this.model.lm.info.backend.description}.${again}`;
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
      measure(0);
      const { tokens, reason } = await this.#write(branch, { ...options, signal }, true, measure);
      return `${count(tokens, 'token')} written: ${reason}.`;
    });
  }

  /** Saves the branch's state, opens it twice, and has both copies go on at once, each from a seed of its own. */
  async writeEndings(options: GenerateOptions): Promise<void> {
    const { lm } = this.model!;
    const parent = this.branch!;
    await this.#run('generate', 'Writing two endings …', async (signal) => {
      const bytes = await parent.saved();
      const first = options.seed ?? 1;
      const branches: Branch[] = [];
      for (let ending = 0; ending < ENDINGS; ending++) {
        const id = this.#nextBranch++;
        branches.push(parent.continued(id, `Branch ${id}`, await lm.loadSession(bytes)));
      }
      this.branches = [...this.branches, ...branches];
      this.branch = branches[0]!;
      const total = branches.length * (options.maxTokens ?? DEFAULT_TOKENS);
      const measure = this.#pacer('written', total);
      const sum = (): number => branches.reduce((tokens, { ahead }) => tokens + ahead, 0);
      measure(0);
      const written = await Promise.all(
        branches.map((branch, index) => {
          const temperature = options.temperature || ENDINGS_TEMPERATURE;
          return this.#write(branch, { ...options, temperature, seed: first + index, signal }, false, () =>
            measure(sum()),
          );
        }),
      );
      const tokens = written.reduce((all, ending) => all + ending.tokens, 0);
      return `${count(tokens, 'token')} written, in two endings from one file of ${bytesInWords(bytes.length)}.`;
    });
  }

  /**
   * Has a branch go on.
   * @param timed Whether the branch keeps the time of each token.
   * @returns how many tokens were written, and why no more.
   */
  async #write(
    branch: Branch,
    options: GenerateOptions,
    timed: boolean,
    measure: (tokens: number) => void,
  ): Promise<{ readonly tokens: number; readonly reason: string }> {
    const { lm } = this.model!;
    const before = branch.session.length;
    let then = performance.now();
    let tokens = 0;
    let reason = 'stopped';
    try {
      for await (const { id, text, finishReason } of branch.session.generate(options)) {
        reason = finishReason === 'stop' ? 'the model ended it' : 'that many were asked for';
        branch.add('written', lm.info.hasTokenizer || id === undefined ? text : `${id} `, id === undefined ? [] : [id]);
        if (id !== undefined) {
          const now = performance.now();
          branch.ahead = ++tokens;
          // A look has the worker for itself, and two branches share it: such times are not those of a token.
          if (timed && !this.looking && this.#lookEnded < then) branch.note(before + tokens, now - then, 'written');
          then = now;
          measure(tokens);
          this.#lookNowAndThen();
        }
        // The session tells of these tokens by now.
        if (finishReason !== undefined) branch.ahead = 0;
        this.#changed();
      }
    } catch (error) {
      if (!isMambaError(error, 'aborted')) throw error;
      reason = 'stopped';
    } finally {
      branch.ahead = 0;
    }
    // An empty session begins with a special token of the checkpoint.
    const first = lm.info.specialTokens.bos ?? lm.info.specialTokens.eos[0];
    if (before === 0 && branch.session.length === tokens + 1 && first !== undefined)
      branch.transcript = { ...branch.transcript, ids: [first, ...branch.transcript.ids] };
    return { tokens, reason };
  }

  /** Reads the page's example text over and over, up to some 50,000 tokens. */
  async readBook(): Promise<void> {
    await this.#run('read', 'Reading …', async (signal) => {
      const { lm } = this.model!;
      const { length } = await lm.encode(example);
      await this.#read(this.branch!, lm, example.repeat(Math.ceil(BOOK_TOKENS / length)), signal);
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

  /** Gives a function that is told how many tokens are done, and keeps the pace. */
  #pacer(what: Pace['what'], total: number): (tokens: number) => void {
    const times: [time: number, tokens: number][] = [];
    return (tokens) => {
      times.push([performance.now(), tokens]);
      if (times.length > PACE_WINDOW) times.shift();
      this.pace = { what, tokens, total, perSecond: rate(times) };
    };
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
    if (!on) {
      this.#forgetLook();
      this.#releaseSelection();
    }
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

  /** Computes delta of the branch's text. The result is dropped where another look began meanwhile. */
  async refreshLook(): Promise<void> {
    const { model, branch } = this;
    if (!this.watching || model === undefined || branch === undefined || branch.transcript.ids.length === 0) {
      this.#forgetLook();
      this.#changed();
      return;
    }
    if (model.engine.lost) return;
    // A transcript never changes, so the same one has the same look.
    if (branch.transcript === this.#looked) return;
    this.#looked = branch.transcript;
    const turn = ++this.#looks;
    this.looking = true;
    this.#changed();
    try {
      const begin = performance.now();
      const { ids: all } = branch.transcript;
      const text = textOf(branch.transcript);
      const before = branch.length - all.length;
      const ids = all.slice(-LOOK_TOKENS);
      const labels = await this.#labelsOf(model.lm, ids);
      if (turn !== this.#looks) return;
      this.#selection ??= model.lm.openSelection();
      const map = await (await this.#selection).deltas(ids);
      if (turn !== this.#looks) return;
      this.look = { map, labels, branch, place: align(text, labels), skipped: before + all.length - ids.length };
      this.#lookTook = performance.now() - begin;
    } catch (error) {
      this.#noticeLoss(error);
      if (turn !== this.#looks) return;
      this.#forgetLook();
      this.#releaseSelection();
      this.error = { place: 'selection', words: `The selection cannot be shown: ${errorWords(error, REMEDIES)}` };
    }
    this.looking = false;
    this.#lookEnded = performance.now();
    this.#changed();
  }

  /** Looks at what is written so far, if the last look is long enough ago. */
  #lookNowAndThen(): void {
    const now = performance.now();
    if (!this.watching || this.looking) return;
    if (now - this.#lookBegan < Math.max(LOOK_INTERVAL, LOOK_SHARE * this.#lookTook)) return;
    this.#lookBegan = now;
    void this.refreshLook();
  }

  async #labelsOf(lm: WorkerLanguageModel, ids: readonly number[]): Promise<readonly string[]> {
    if (!lm.info.hasTokenizer) return ids.map(String);
    const unknown = [...new Set(ids)].filter((id) => !this.#labels.has(id));
    const texts = await Promise.all(unknown.map((id) => lm.decode([id])));
    for (const [index, id] of unknown.entries()) this.#labels.set(id, texts[index]! || `<${id}>`);
    return ids.map((id) => this.#labels.get(id)!);
  }

  #releaseSelection(): void {
    void this.#selection?.then(
      (selection) => selection.dispose(),
      () => {},
    );
    this.#selection = undefined;
  }

  #forgetLook(): void {
    this.#looks++;
    this.#looked = undefined;
    this.look = undefined;
    this.looking = false;
  }

  #adopt(branch: Branch): void {
    this.branches = [...this.branches, branch];
    this.branch = branch;
    this.pace = undefined;
  }

  /**
   * Notes that the device or the worker of the model is gone. The text can still be read, and the next load starts
   * another worker.
   */
  #noticeLoss(error: unknown): void {
    const engine = this.model?.engine;
    if (engine?.connection.failure !== undefined) engine.end();
    else if (engine !== undefined && isMambaError(error, 'device-lost')) engine.lost = true;
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
      this.#noticeLoss(error);
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

function rate(times: readonly (readonly [time: number, tokens: number])[]): number | undefined {
  const [[begin, first], [end, last]] = [times[0]!, times.at(-1)!];
  return end > begin ? (1000 * (last - first)) / (end - begin) : undefined;
}

function locate(source: Source): { readonly location: string | readonly File[]; readonly title: string } {
  switch (source.kind) {
    case 'shipped':
      return { location: new URL(SHIPPED, document.baseURI).href, title: 'KJV Mamba' };
    case 'hub': {
      const id = hubIdOfAddress(source.id) ?? source.id.trim().replace(/^hf:/, '');
      return { location: `hf:${id}`, title: id };
    }
    case 'url': {
      const id = hubIdOfAddress(source.url);
      if (id !== undefined) return { location: `hf:${id}`, title: id };
      const url = new URL(source.url.trim(), document.baseURI);
      return { location: url.href, title: url.pathname.split('/').filter(Boolean).at(-1) ?? url.host };
    }
    case 'files': {
      const [first] = source.files;
      if (first === undefined) throw new Error('Choose the files of a model first.');
      return { location: source.files, title: first.webkitRelativePath.split('/')[0] || first.name };
    }
  }
}
