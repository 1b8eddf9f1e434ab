import { borrowed } from '../backend/handle.ts';
import { type Scope, scoped } from '../backend/scope.ts';
import type { Backend } from '../contract/backend.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import type { SampleOptions } from '../contract/operations.ts';
import type { HostArray, Tensor } from '../contract/tensor.ts';
import {
  checkBoolean,
  checkDType,
  checkExact,
  checkIdRange,
  checkInteger,
  checkIntegers,
  checkOneOf,
  checkOptions,
  checkRank,
} from '../operations/check.ts';
import { checkSampleOptions } from '../operations/sample.ts';
import { composeDecode } from './compose.ts';
import type { KernelState, LogitsRequest, ModelConfig, ModelKernel, ModelParameter } from './contract.ts';
import { modelParameters } from './parameters.ts';
import { checkSnapshot, type StateSnapshot, type StateSnapshotV1, snapshotBlocks, zeroLayers } from './snapshot.ts';

/** Token ids: an int32 tensor `[batch, length]`, or rows of equal length. */
export type TokenIds = Tensor | readonly ArrayLike<number>[];

/** What `forward` continues from, and what it returns. */
export interface ForwardOptions {
  /** The state that an earlier call returned; zero if absent. It is not changed unless it is donated. */
  readonly state?: ModelState | undefined;
  /**
   * Gives the state away: a successful call disposes it and may reuse its memory; a call that throws leaves it
   * unchanged. Default false.
   */
  readonly donateState?: boolean | undefined;
  /** int32 tensor `[batch, length]`. A value other than 0 begins a new sequence at its token (packed sequences). */
  readonly resets?: Tensor | undefined;
  /** Default `last`. */
  readonly logits?: LogitsRequest | undefined;
  /** Returns the hidden states as well: the embedding and the output of each layer. Default false. */
  readonly hiddenStates?: boolean | undefined;
  /**
   * Number of tokens that are computed at once, which bounds the memory of activations. Default: `preferredChunk`, or
   * 512 where the backend has no preference.
   */
  readonly chunk?: number | undefined;
}

/** The results of `forward`, which the caller disposes. */
export interface ForwardResult {
  /**
   * `[batch, length, vocab]` for `all`, `[batch, 1, vocab]` for `last`; absent for `none`. The caller disposes the
   * logits and the state.
   */
  readonly logits: Tensor | undefined;
  /** The state after the last token. */
  readonly state: ModelState;
  /**
   * Where they were asked for: the embedding and the output of each layer, each `[batch, length, dModel]`; the last one
   * is after the final norm.
   */
  readonly hiddenStates: readonly Tensor[] | undefined;
}

/** How `decode` generates tokens. */
export interface DecodeOptions extends SampleOptions {
  /** Gives the state away, as `ForwardOptions` has it. Default false. */
  readonly donateState?: boolean | undefined;
  /** Number of tokens to generate. */
  readonly count: number;
  /**
   * Random numbers `[batch, count]` in [0, 1), with which tokens are sampled (see the operation `sample`). Default:
   * argmax.
   */
  readonly uniform?: Tensor | undefined;
}

/** The results of `decode`, which the caller disposes. */
export interface DecodeResult {
  /**
   * int32 `[batch, count]`. It is -1 where a step's logits hold NaN or an infinity; the ids after it in the row are
   * undefined.
   */
  readonly ids: Tensor;
  /** The state after every token but the last generated one; feed that one to continue. */
  readonly state: ModelState;
}

/**
 * The state of a model after the tokens fed so far. Its size does not depend on their number where all blocks are
 * recurrent. Only the model that made it can use it.
 */
export class ModelState {
  /** Number of rows, each of which is a sequence of its own. */
  readonly batch: number;
  /** Number of tokens fed so far, for each row. */
  readonly positions: readonly number[];
  readonly #kernelState: KernelState;
  readonly #owner: object;
  #disposed = false;

  /** @internal */
  constructor(owner: object, kernelState: KernelState, positions: readonly number[]) {
    this.#owner = owner;
    this.#kernelState = kernelState;
    this.batch = kernelState.batch;
    this.positions = Object.freeze([...positions]);
  }

  /** Bytes of device memory that the state takes. */
  get bytes(): number {
    return this.#kernelState.bytes;
  }

  /** Whether the state was disposed, or given away to a call. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Frees the memory. Disposing it again does nothing. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#kernelState.dispose();
  }

  /** @internal */
  kernelStateFor(owner: object, origin: string): KernelState {
    if (this.#owner !== owner) {
      throw new MambaError('foreign', `${origin} belongs to another model`, {
        origin,
        remedy: 'Export it there and import it here.',
      });
    }
    if (this.#disposed) {
      throw new MambaError('disposed', `${origin} was disposed`, {
        origin,
        remedy: 'A donated state is gone after the call; clone it first to keep it.',
      });
    }
    return this.#kernelState;
  }

  /** @internal Marks a donated state as disposed without freeing its memory, which the kernel has taken. */
  markConsumed(): void {
    this.#disposed = true;
  }
}

/** A language model on a backend. `createModel` makes it. */
export class Model {
  /** The backend that the weights are on. */
  readonly backend: Backend;
  /** The config with its defaults. `blocks` lists the layers. */
  readonly config: ModelConfig;
  readonly #kernel: ModelKernel;
  readonly #weights: readonly Tensor[];
  #disposed = false;

  /** @internal Use `createModel`. Weights in the order of `modelParameters`. */
  constructor(backend: Backend, config: ModelConfig, kernel: ModelKernel, weights: readonly Tensor[]) {
    this.backend = backend;
    this.config = config;
    this.#kernel = kernel;
    this.#weights = weights;
  }

  /**
   * Feeds tokens and returns logits and the state after them. Long inputs run in chunks; a step of decode is a call of
   * length 1. Never waits for the device.
   * @throws MambaError `invalid-argument` (shapes, options, ids outside the vocabulary), `foreign`, `disposed`,
   * `out-of-memory`. Nothing has changed then.
   */
  forward(ids: TokenIds, options: ForwardOptions = {}): ForwardResult {
    this.#checkAlive();
    checkOptions('model.forward', options, ['state', 'donateState', 'resets', 'logits', 'hiddenStates', 'chunk']);
    const { state, donateState = false, resets, logits = 'last', hiddenStates = false } = options;
    checkOneOf('model.forward.logits', logits, ['all', 'last', 'none']);
    checkBoolean('model.forward.donateState', donateState);
    checkBoolean('model.forward.hiddenStates', hiddenStates);
    if (options.chunk !== undefined) checkInteger('model.forward.chunk', options.chunk, 1);
    return scoped((scope) => {
      const tokens = this.#tokens(scope, ids);
      const [batch, length] = tokens.shape as [number, number];
      // A step is whole, whatever the chunk, so it need not ask.
      const chunk = options.chunk ?? (length === 1 ? 1 : (this.#kernel.chunk?.(batch, logits) ?? 512));
      const first = this.#kernelState(state, batch, 'model.forward.state');
      if (resets !== undefined) checkIntegers('model.forward.resets', resets, [batch, length], '[batch, length]');

      const logitParts: Tensor[] = [];
      const hiddenParts: (readonly Tensor[])[] = [];
      let current = first;
      for (let start = 0; start < length; start += chunk) {
        const end = Math.min(start + chunk, length);
        const whole = start === 0 && end === length;
        const cut = (tensor: Tensor): Tensor => (whole ? tensor : scope.own(this.backend.slice(tensor, 1, start, end)));
        const outcome = this.#kernel.forward({
          ids: cut(tokens),
          state: current,
          // A failure in a later chunk must leave the caller's state unchanged, so the caller's state is donated only
          // where there is a single chunk.
          donated: start > 0 || (whole && donateState),
          positions: advance(state, batch, start),
          resets: resets && cut(resets),
          logits: logits === 'last' && end < length ? 'none' : logits,
          hiddenStates,
          batch,
          length: end - start,
        });
        if (start > 0) scope.release(current!);
        current = scope.own(outcome.state);
        if (outcome.logits) logitParts.push(scope.own(outcome.logits));
        if (outcome.hiddenStates) hiddenParts.push(outcome.hiddenStates.map((tensor) => scope.own(tensor)));
        if (whole && donateState) state?.markConsumed();
      }
      const result: ForwardResult = {
        logits: logitParts.length > 0 ? scope.own(this.#join(logitParts)) : undefined,
        state: new ModelState(this, current!, advance(state, batch, length)),
        hiddenStates: hiddenStates
          ? hiddenParts[0]!.map((_, index) => scope.own(this.#join(hiddenParts.map((part) => part[index]!))))
          : undefined,
      };
      scope.release(current!);
      if (result.logits) scope.release(result.logits);
      for (const tensor of result.hiddenStates ?? []) scope.release(tensor);
      if (donateState) state?.dispose();
      return result;
    });
  }

  /**
   * The tokens of a row that `forward` computes at once by default; undefined where the backend has no preference.
   * @param batch Rows of the call.
   */
  preferredChunk(batch: number, logits: LogitsRequest = 'last'): number | undefined {
    this.#checkAlive();
    checkInteger('model.preferredChunk.batch', batch, 1);
    checkOneOf('model.preferredChunk.logits', logits, ['all', 'last', 'none']);
    return this.#kernel.chunk?.(batch, logits);
  }

  /**
   * Feeds one token for each row and generates `count` more, each fed to the next step, without waiting for the device.
   * @throws MambaError as `forward` does.
   */
  decode(ids: TokenIds, state: ModelState | undefined, options: DecodeOptions): DecodeResult {
    this.#checkAlive();
    if (options === undefined) throw invalid('model.decode.options', 'nothing', '{ count, … }');
    const { count, uniform, donateState = false, ...sampling } = options;
    checkBoolean('model.decode.donateState', donateState);
    checkInteger('model.decode.count', count, 1);
    const filter = checkSampleOptions('model.decode', sampling);
    return scoped((scope) => {
      const tokens = this.#tokens(scope, ids);
      const batch = tokens.shape[0]!;
      checkExact('model.decode.ids', tokens, [batch, 1], '[batch, 1]');
      if (uniform !== undefined) {
        checkExact('model.decode.uniform', uniform, [batch, count], '[batch, count]');
        checkDType('model.decode.uniform', uniform, this.backend.precision);
      } else if (Object.values(sampling).some((value) => value !== undefined)) {
        throw invalid(
          'model.decode',
          'sampling options without uniform',
          'uniform, a tensor [batch, count] of random numbers in [0, 1)',
        );
      }
      const call = {
        ids: tokens,
        state: this.#kernelState(state, batch, 'model.decode.state'),
        donated: donateState,
        positions: advance(state, batch, 0),
        count,
        sampling: uniform && { ...filter, uniform },
        batch,
      };
      const outcome = this.#kernel.decode?.(call) ?? composeDecode(this.backend, this.#kernel, call);
      if (donateState) state?.markConsumed();
      return { ids: outcome.ids, state: new ModelState(this, outcome.state, advance(state, batch, count)) };
    });
  }

  /** A state before any token. */
  zeroState(batch = 1): ModelState {
    this.#checkAlive();
    checkInteger('model.zeroState.batch', batch, 1, 2 ** 24);
    const positions = new Array<number>(batch).fill(0);
    return new ModelState(this, this.#kernel.importState(zeroLayers(this.config, positions), positions), positions);
  }

  /** An independent copy. To roll back, keep one and continue from it. */
  cloneState(state: ModelState): ModelState {
    this.#checkAlive();
    this.#heldState(state, 'model.cloneState');
    return this.gatherState(Array.from({ length: state.batch }, (_, row) => ({ state, row })));
  }

  /**
   * A new state whose row i is the given row of the given state. It serves to select, reorder, repeat and merge the
   * sequences of batches.
   */
  gatherState(rows: readonly { readonly state: ModelState; readonly row: number }[]): ModelState {
    this.#checkAlive();
    if (!Array.isArray(rows) || rows.length === 0)
      throw invalid('model.gatherState', 'no rows', 'at least one { state, row }');
    const sources = rows.map((source, index) => {
      const { state, row } = source ?? {};
      const kernelState = this.#heldState(state, `model.gatherState[${index}].state`);
      checkInteger(`model.gatherState[${index}].row`, row, 0, state.batch - 1);
      return { state: kernelState, row, position: state.positions[row]! };
    });
    const positions = sources.map(({ position }) => position);
    return new ModelState(this, this.#kernel.gather(sources), positions);
  }

  /** The state as plain data that any backend continues from. Waits for the device. */
  async exportState(state: ModelState): Promise<StateSnapshot> {
    this.#checkAlive();
    const kernelState = this.#heldState(state, 'model.exportState');
    const positions = [...state.positions];
    const layers = await this.#kernel.exportState(kernelState, positions);
    return { version: 2, batch: state.batch, positions, blocks: snapshotBlocks(this.config, positions), layers };
  }

  /**
   * A state from plain data, as `exportState` of any backend gave it, or of version 1.
   * @throws MambaError `invalid-file` where the snapshot is damaged, or belongs to a model of other sizes.
   */
  importState(snapshot: StateSnapshot | StateSnapshotV1): ModelState {
    this.#checkAlive();
    const { layers, positions } = checkSnapshot(snapshot, this.config);
    return new ModelState(this, this.#kernel.importState(layers, positions), positions);
  }

  /**
   * Every parameter, in loading order, with a handle to read it. The handles end with the model; disposing one does
   * nothing.
   */
  parameters(): readonly ModelParameter[] {
    this.#checkAlive();
    return modelParameters(this.config).map((parameter, index) => ({
      ...parameter,
      tensor: borrowed(this.#weights[index]!),
    }));
  }

  /**
   * Tells the model that its parameters were written to in place, as an optimizer does, so that its kernel makes packed
   * copies of them again.
   */
  weightsChanged(): void {
    this.#checkAlive();
    this.#kernel.weightsChanged?.();
  }

  /**
   * The values of a parameter as the backend stores them. Waits for the device.
   * @throws MambaError `invalid-argument` where the model has no such parameter.
   */
  async readParameter(name: string): Promise<HostArray> {
    this.#checkAlive();
    const weight = this.#weights[modelParameters(this.config).findIndex((parameter) => parameter.name === name)];
    if (weight === undefined)
      throw invalid('model.readParameter', name, 'the name of one of modelParameters(model.config)');
    return this.backend.read(weight);
  }

  /** Whether the model was disposed. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Frees the weights. Whoever holds a state disposes it. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#kernel.dispose();
    for (const weight of this.#weights) weight.dispose();
  }

  #tokens(scope: Scope, ids: TokenIds): Tensor {
    const tensor = Array.isArray(ids) ? scope.own(this.#uploadIds(ids)) : (ids as Tensor);
    checkRank('model.ids', tensor, 2, '[batch, length]');
    checkDType('model.ids', tensor, 'int32');
    checkIdRange('model.ids', tensor, this.config.vocabSize);
    return tensor;
  }

  #uploadIds(rows: readonly ArrayLike<number>[]): Tensor {
    const length = rows[0]?.length ?? 0;
    if (length === 0)
      throw invalid(
        'model.ids',
        'no tokens',
        'at least one token a row',
        'Begin with a token such as the end-of-text one.',
      );
    checkInteger('model.ids.length', length, 1, 2 ** 31 - 1);
    const data = new Int32Array(rows.length * length);
    for (const [index, row] of rows.entries()) {
      if (row?.length !== length) {
        throw invalid(
          'model.ids',
          `rows of ${length} and ${row?.length} tokens`,
          'rows of equal length',
          'Feed unequal rows apart and merge them with gatherState; padding would corrupt the state.',
        );
      }
      for (let position = 0; position < length; position++) {
        const id = row[position]!;
        checkInteger(`model.ids[${index}][${position}]`, id, 0, this.config.vocabSize - 1);
        data[index * length + position] = id;
      }
    }
    return this.backend.upload({ dtype: 'int32', shape: [rows.length, length], data });
  }

  #kernelState(state: ModelState | undefined, batch: number, origin: string): KernelState | undefined {
    if (state === undefined) return undefined;
    const kernelState = this.#heldState(state, origin);
    if (state.batch !== batch) throw invalid(origin, `a state of ${state.batch} rows`, `${batch} rows, as the ids`);
    return kernelState;
  }

  #heldState(state: ModelState, origin: string): KernelState {
    if (!(state instanceof ModelState)) throw invalid(origin, String(state), 'a state that this model returned');
    return state.kernelStateFor(this, origin);
  }

  #join(parts: readonly Tensor[]): Tensor {
    return parts.length === 1 ? parts[0]! : this.backend.concat(parts, 1);
  }

  #checkAlive(): void {
    if (this.#disposed)
      throw new MambaError('disposed', 'the model was disposed', { origin: 'model', remedy: 'Load it again.' });
  }
}

function advance(state: ModelState | undefined, batch: number, tokens: number): readonly number[] {
  return Array.from({ length: batch }, (_, row) => (state?.positions[row] ?? 0) + tokens);
}
