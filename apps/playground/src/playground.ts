import { isMambaError } from '@mamba/core';
import type { DeltaMap, LoadOptions } from '@mamba/lm';
import type { WorkerLanguageModel, WorkerSelection, WorkerSession } from '@mamba/lm/worker';
import { Branch, type MarkedPlace, type Transcript } from './branch.ts';
import { download } from './download.ts';
import { errorWords } from './error-words.ts';
import { count } from './format.ts';
import { hubIdOfAddress } from './hub-id.ts';
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

export interface Speed {
  readonly tokens: number;
  /** Tokens a second, over the last tokens; undefined before the second token. */
  readonly perSecond: number | undefined;
}

/** A view of delta over a branch's text. */
export interface Look {
  readonly map: DeltaMap;
  /** The text of each token. */
  readonly labels: readonly string[];
  /** Tokens of the session before the first of the map. */
  readonly skipped: number;
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
/** Most tokens of a map. */
const LOOK_TOKENS = 512;
/** Tokens over which the speed is averaged. */
const SPEED_WINDOW = 32;

/** The state and the actions of the page, without its components. It calls `changed` after every change. */
export class Playground {
  backends: readonly BackendReport[] | undefined;
  model: LoadedModel | undefined;
  /** The progress of a load. */
  progress: Progress | undefined;
  branches: readonly Branch[] = [];
  branch: Branch | undefined;
  busy: Busy | undefined;
  speed: Speed | undefined;
  deviceBytes: number | undefined;
  watching = true;
  look: Look | undefined;
  looking = false;
  /** The text of the status line. */
  status = '';
  error: string | undefined;
  readonly #changed: () => void;
  #aborter: AbortController | undefined;
  #nextBranch = 1;
  /** Counts the requests for a look, so that an outdated one is not shown. */
  #looks = 0;
  #looked: Transcript | undefined;
  /** The model's selection, which is opened with the first look at it. */
  #selection: Promise<WorkerSelection> | undefined;
  readonly #labels = new Map<number, string>();

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  async probe(): Promise<void> {
    try {
      this.backends = await probeBackends();
    } catch (error) {
      this.backends = [];
      this.error = errorWords(error, REMEDIES);
    }
    this.#changed();
  }

  /** Loads a model. The one before stays until the new one is loaded. */
  async load(source: Source, backend: BackendName, weights: Weights): Promise<void> {
    await this.#run('load', 'Loading …', async (signal) => {
      const before = this.model;
      const { location, title } = locate(source);
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
        this.#selection = undefined;
        this.#forgetLook();
        this.#labels.clear();
        this.#nextBranch = 1;
        this.branch = new Branch(this.#nextBranch++, 'Branch 1', session);
        this.branches = [this.branch];
      } catch (error) {
        if (engine !== before?.engine) engine.end();
        throw error;
      } finally {
        this.progress = undefined;
      }
      if (before !== undefined && before.engine !== engine) before.engine.end();
      else await before?.lm.dispose();
      this.speed = undefined;
      return `${title} is loaded, on ${this.model.lm.info.backend.description}.`;
    });
  }

  /** Reads the input, if there is any, and generates text. */
  async generate(input: string, options: GenerateOptions): Promise<void> {
    const { lm } = this.model!;
    const branch = this.branch!;
    await this.#run('generate', 'Generating …', async (signal) => {
      if (input !== '') await branch.read(lm, input, signal);
      const before = branch.session.length;
      const times: number[] = [];
      let tokens = 0;
      let reason = 'stopped';
      this.speed = { tokens, perSecond: undefined };
      try {
        for await (const { id, text, finishReason } of branch.session.generate({ ...options, signal })) {
          reason = finishReason === 'stop' ? 'the model ended it' : 'that many were asked for';
          branch.add(
            'written',
            lm.info.hasTokenizer || id === undefined ? text : `${id} `,
            id === undefined ? [] : [id],
          );
          if (id !== undefined) {
            tokens++;
            times.push(performance.now());
            if (times.length > SPEED_WINDOW) times.shift();
            this.speed = { tokens, perSecond: rate(times) };
          }
          this.#changed();
        }
      } catch (error) {
        if (!isMambaError(error, 'aborted')) throw error;
        reason = 'stopped';
      }
      // An empty session begins with a special token of the checkpoint.
      const first = lm.info.specialTokens.bos ?? lm.info.specialTokens.eos[0];
      if (before === 0 && branch.session.length === tokens + 1 && first !== undefined)
        branch.transcript = { ...branch.transcript, ids: [first, ...branch.transcript.ids] };
      return `${count(tokens, 'token')} written: ${reason}.`;
    });
  }

  /** Reads the input without generating. @returns whether it was read. */
  async read(input: string): Promise<boolean> {
    let done = false;
    await this.#run('read', 'Reading …', async (signal) => {
      await this.branch!.read(this.model!.lm, input, signal);
      done = true;
      return 'The text is read.';
    });
    return done;
  }

  /** Ends the work that runs: a load, a reading or a generation. */
  stop(): void {
    this.#aborter?.abort();
  }

  mark(): Promise<void> {
    return this.#run('other', '', async () => `Marked at ${count((await this.branch!.mark()).mark.length, 'token')}.`);
  }

  rewind(place: MarkedPlace): Promise<void> {
    return this.#run('other', '', async () => {
      await this.branch!.rewind(place);
      return `Rewound to ${count(place.mark.length, 'token')}.`;
    });
  }

  releaseMark(place: MarkedPlace): Promise<void> {
    return this.#run('other', '', async () => {
      await this.branch!.release(place);
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
    this.speed = undefined;
    this.#changed();
    void this.refreshLook();
  }

  /** Saves the branch as a file. It holds the state and the last tokens, and has one size at any length. */
  async save(): Promise<void> {
    await this.#run('other', '', async () => {
      const bytes = await this.branch!.session.save();
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
      this.#adopt(new Branch(id, `Branch ${id}`, session, { segments: text ? [{ kind: 'read', text }] : [], ids }));
      return `Opened ${file.name} as branch ${id}, at ${count(session.length, 'token')}.`;
    });
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
      const ids = branch.transcript.ids.slice(-LOOK_TOKENS);
      const labels = await this.#labelsOf(model.lm, ids);
      if (turn !== this.#looks) return;
      this.#selection ??= model.lm.openSelection();
      const map = await (await this.#selection).deltas(ids);
      if (turn !== this.#looks) return;
      this.look = { map, labels, skipped: branch.session.length - ids.length };
    } catch (error) {
      this.#noticeLoss(error);
      if (turn !== this.#looks) return;
      this.#forgetLook();
      this.#releaseSelection();
      this.error = `The selection cannot be shown: ${errorWords(error, REMEDIES)}`;
    }
    this.looking = false;
    this.#changed();
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
    this.speed = undefined;
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
      this.status = await act(this.#aborter.signal);
      this.deviceBytes = (await this.model?.engine.connection.memory())?.bytes;
    } catch (error) {
      this.#noticeLoss(error);
      this.status = isMambaError(error, 'aborted') ? 'Cancelled.' : '';
      if (!isMambaError(error, 'aborted')) this.error = errorWords(error, REMEDIES);
    } finally {
      this.busy = undefined;
      this.#aborter = undefined;
    }
    this.#changed();
    await this.refreshLook();
  }
}

function rate(times: readonly number[]): number | undefined {
  const seconds = (times.at(-1)! - times[0]!) / 1000;
  return seconds > 0 ? (times.length - 1) / seconds : undefined;
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
