/** The tensors that a composed model keeps, gives away and frees. The conformance suite checks its numbers. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type Block, FakeDriver, failure, fakeBackend } from '../../test/fake-driver.ts';
import { tinyConfig, tinyModel } from '../../test/tiny-model.ts';
import { createBackend } from '../backend/create-backend.ts';
import type { FusedBlocks } from '../backend/driver.ts';
import type { Backend } from '../contract/backend.ts';
import { MambaError } from '../contract/errors.ts';
import { type HostTensor, sizeOf, type Tensor } from '../contract/tensor.ts';
import { modelConfig } from './config.ts';
import type { ParameterSource, ParameterSpec } from './contract.ts';
import { createModel } from './create-model.ts';
import type { ForwardOptions, Model, ModelState, TokenIds } from './model.ts';
import { modelParameters, parameterCount } from './parameters.ts';
import type { SnapshotBlock, StateSnapshot } from './snapshot.ts';

let backend: Backend;
let driver: FakeDriver;
let model: Model;
beforeEach(async () => {
  ({ backend, driver } = fakeBackend());
  model = await tinyModel(backend);
});

const tensors = () => backend.memory().tensors;
/** Number of tensors of a state: two for each layer. */
const STATE = 2 * tinyConfig.blocks.length;

describe('createModel', () => {
  it('frees the packed weights of earlier blocks where a later block cannot be made', async () => {
    const keeping = new FakeDriver();
    let made = 0;
    const blocks: FusedBlocks<Block> = {
      mamba({ tensor }) {
        if (made++ > 0) throw new MambaError('out-of-memory', 'told to fail');
        const host: HostTensor = { dtype: 'float32', shape: [1], data: new Float32Array(1) };
        const packed = tensor(keeping.upload(host), host);
        return { forward: () => expect.unreachable(), dispose: () => packed.dispose() };
      },
    };
    const packing = createBackend(Object.assign(keeping, { blocks }));
    await expect(tinyModel(packing)).rejects.toThrow(failure('out-of-memory'));
    expect([made, packing.memory().tensors, keeping.live.size]).toEqual([2, 0, 0]);
  });
});

describe('forward', () => {
  it('gives logits and a state, and keeps nothing else', () => {
    const weights = tensors();
    const { logits, state, hiddenStates } = model.forward([[1, 2, 3]]);
    expect(logits!.shape).toEqual([1, 1, 10]);
    expect(hiddenStates).toBeUndefined();
    expect(state).toMatchObject({ batch: 1, positions: [3], disposed: false });
    expect(tensors()).toBe(weights + STATE + 1);
    logits!.dispose();
    state.dispose();
    state.dispose();
    expect(tensors()).toBe(weights);
  });

  it('has no preferred chunk where the backend composes it, and refuses a batch of nothing', () => {
    expect(model.preferredChunk(2)).toBeUndefined();
    expect(() => model.preferredChunk(0)).toThrow(failure('invalid-argument'));
    expect(() => model.preferredChunk(1, 'first' as 'all')).toThrow(failure('invalid-argument'));
  });

  it('shapes follow what is asked for, in one chunk or several', () => {
    for (const chunk of [1, 2, 3, 512]) {
      const weights = tensors();
      const all = model.forward(
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        { logits: 'all', hiddenStates: true, chunk },
      );
      expect(all.logits!.shape).toEqual([2, 3, 10]);
      expect(all.hiddenStates!.map(({ shape }) => shape)).toEqual(new Array(3).fill([2, 3, 4]));
      const last = model.forward([[1, 2, 3]], { logits: 'last', hiddenStates: true, chunk });
      expect(last.logits!.shape).toEqual([1, 1, 10]);
      const none = model.forward([[1, 2, 3]], { logits: 'none', chunk });
      expect(none.logits).toBeUndefined();
      const held = [all, last, none].flatMap(({ logits, state, hiddenStates }) => [
        logits,
        state,
        ...(hiddenStates ?? []),
      ]);
      for (const each of held) each?.dispose();
      expect(tensors()).toBe(weights);
    }
  });

  it('leaves a state alone unless it is donated', () => {
    const weights = tensors();
    const first = model.forward([[1]], { logits: 'none' }).state;
    const second = model.forward([[2, 3]], { state: first, logits: 'none' }).state;
    expect([first.disposed, second.positions]).toEqual([false, [3]]);
    for (const chunk of [1, 8]) {
      const given = model.cloneState(first);
      const next = model.forward([[2, 3]], { state: given, donateState: true, logits: 'none', chunk }).state;
      expect(given.disposed).toBe(true);
      expect(() => model.forward([[1]], { state: given })).toThrow(failure('disposed'));
      next.dispose();
    }
    expect(tensors()).toBe(weights + 2 * STATE);
  });

  it.each<[string, unknown, ForwardOptions?]>([
    ['no ids', undefined],
    ['no rows', []],
    ['an empty row', [[]]],
    ['rows of unequal length', [[1, 2], [3]]],
    ['an id of the vocabulary size', [[10]]],
    ['a negative id', [[-1]]],
    ['a fraction', [[1.5]]],
    ['a word', [['a']]],
    ['an unknown option', [[1]], { logit: 'all' } as ForwardOptions],
    ['an unknown request', [[1]], { logits: 'first' as 'all' }],
    ['a chunk of nothing', [[1]], { chunk: 0 }],
    ['a state that is none', [[1]], { state: {} as ModelState }],
  ])('refuses %s', (_, ids, options) => {
    const before = tensors();
    expect(() => model.forward(ids as TokenIds, options)).toThrow(failure('invalid-argument'));
    expect(tensors()).toBe(before);
  });

  it('refuses ids on the device by their range, and their shape and dtype', () => {
    const upload = (shape: number[], ...ids: number[]) =>
      backend.upload({ dtype: 'int32', shape, data: Int32Array.from(ids) });
    expect(() => model.forward(upload([1, 2], 0, 10))).toThrow(failure('invalid-argument'));
    expect(() => model.forward(upload([2], 0, 1))).toThrow(failure('invalid-argument', 'model.ids'));
    const floats = backend.upload({ dtype: 'float32', shape: [1, 1], data: new Float32Array(1) });
    expect(() => model.forward(floats)).toThrow(failure('invalid-argument', 'model.ids'));
    expect(() => model.forward([[1, 2]], { resets: upload([1, 3], 0, 0, 0) })).toThrow(failure('invalid-argument'));
  });

  it('refuses a state of another batch or of another model', async () => {
    const state = model.forward([[1], [2]], { logits: 'none' }).state;
    expect(() => model.forward([[1]], { state })).toThrow(failure('invalid-argument', 'model.forward.state'));
    const twin = await tinyModel(backend);
    expect(() => twin.forward([[1], [2]], { state })).toThrow(failure('foreign', 'model.forward.state'));
    expect(() => twin.cloneState(state)).toThrow(failure('foreign'));
  });
});

describe('a failure at any point', () => {
  const uniform = () => backend.upload({ dtype: 'float32', shape: [1, 3], data: new Float32Array(3) });
  const calls: Record<string, (state: ModelState, numbers: Tensor) => { dispose(): void }[]> = {
    forward: (state) => {
      const {
        logits,
        state: next,
        hiddenStates,
      } = model.forward([[1, 2, 3]], { state, hiddenStates: true, logits: 'all' });
      return [logits!, next, ...hiddenStates!];
    },
    'forward in chunks, donated': (state) => {
      const result = model.forward([[1, 2, 3]], {
        state,
        donateState: true,
        chunk: 2,
        logits: 'all',
        hiddenStates: true,
      });
      return [result.logits!, result.state, ...result.hiddenStates!];
    },
    'forward in one chunk, donated': (state) => {
      const { logits, state: next } = model.forward([[1, 2]], { state, donateState: true });
      return [logits!, next];
    },
    decode: (state, numbers) => {
      const { ids, state: next } = model.decode([[1]], state, { count: 3, uniform: numbers, topK: 2 });
      return [ids, next];
    },
    'decode, donated': (state) => {
      const { ids, state: next } = model.decode([[1]], state, { count: 2, donateState: true });
      return [ids, next];
    },
    gatherState: (state) => [model.gatherState([state, state].map((each) => ({ state: each, row: 0 })))],
  };

  it.each(Object.entries(calls))('of %s changes and leaks nothing', (_, call) => {
    const numbers = uniform();
    const state = model.forward([[1]], { logits: 'none' }).state;
    const before = tensors();
    let failures = 0;
    for (let point = 0; ; point++) {
      driver.failAfter = point;
      try {
        const made = call(state, numbers);
        driver.failAfter = Number.POSITIVE_INFINITY;
        for (const each of made) each.dispose();
        break;
      } catch (error) {
        expect(error).toEqual(failure('out-of-memory'));
        expect(state.disposed).toBe(false);
        expect(tensors(), `after a failure at step ${point}`).toBe(before);
        failures++;
      }
    }
    expect(failures).toBeGreaterThan(5);
    expect(tensors()).toBe(state.disposed ? before - STATE : before);
  });

  it('of createModel frees what was uploaded', async () => {
    const before = tensors();
    driver.failAfter = 7;
    await expect(tinyModel(backend)).rejects.toThrow(failure('out-of-memory'));
    expect(tensors()).toBe(before);
  });

  it('of importState frees what was uploaded', async () => {
    const snapshot = await model.exportState(model.forward([[1]], { logits: 'none' }).state);
    const before = tensors();
    driver.failAfter = 3;
    expect(() => model.importState(snapshot)).toThrow(failure('out-of-memory'));
    expect(tensors()).toBe(before);
  });
});

describe('decode', () => {
  it('feeds one token a row and never looks at what comes out', () => {
    const before = tensors();
    const { ids, state } = model.decode([[1], [2]], undefined, { count: 3 });
    expect(ids).toMatchObject({ shape: [2, 3], dtype: 'int32', range: { min: 0, max: 9 } });
    expect(state.positions).toEqual([3, 3]);
    expect(driver.ran.filter((name) => name === 'argmax')).toHaveLength(3);
    expect(tensors()).toBe(before + STATE + 1);
  });

  it('samples where it is given random numbers, and only there', () => {
    const uniform = backend.upload({ dtype: 'float32', shape: [1, 2], data: new Float32Array(2) });
    model.decode([[1]], undefined, { count: 2, uniform, temperature: 0.5 });
    expect(driver.ran.filter((name) => name === 'sample')).toHaveLength(2);
    expect(() => model.decode([[1]], undefined, { count: 2, temperature: 0.5 })).toThrow(failure('invalid-argument'));
    expect(() => model.decode([[1]], undefined, { count: 3, uniform })).toThrow(
      failure('invalid-argument', 'model.decode.uniform'),
    );
    expect(() => model.decode([[1]], undefined, { count: 2, uniform, topP: 2 })).toThrow(failure('invalid-argument'));
    expect(() => model.decode([[1]], undefined, { count: 2, uniform, typicalP: 1 } as never)).toThrow(
      failure('invalid-argument'),
    );
    expect(() => model.decode([[1, 2]], undefined, { count: 2 })).toThrow(
      failure('invalid-argument', 'model.decode.ids'),
    );
    expect(() => model.decode([[1]], undefined, { count: 0 })).toThrow(
      failure('invalid-argument', 'model.decode.count'),
    );
  });
});

const wider = ({ kind, slots }: SnapshotBlock) => ({ kind, slots: { ...slots, conv: [9, 2] } });
const foreign = ({ slots }: SnapshotBlock) => ({ kind: 'mlp', slots });
const richer = ({ kind, slots }: SnapshotBlock) => ({ kind, slots: { ...slots, third: [1] } });

describe('states', () => {
  it('can be selected, repeated and merged row by row, each with its own age', () => {
    const pair = model.forward([[1], [2]], { logits: 'none' }).state;
    const old = model.forward([[3, 3, 3]], { logits: 'none' }).state;
    const merged = model.gatherState([
      { state: pair, row: 1 },
      { state: old, row: 0 },
      { state: pair, row: 1 },
    ]);
    expect(merged).toMatchObject({ batch: 3, positions: [1, 3, 1] });
    expect(() => model.gatherState([])).toThrow(failure('invalid-argument'));
    expect(() => model.gatherState([{ state: old, row: 1 }])).toThrow(failure('invalid-argument'));
    expect(() => model.gatherState([{ state: undefined as never, row: 0 }])).toThrow(failure('invalid-argument'));
    expect(() => model.cloneState(undefined as never)).toThrow(failure('invalid-argument'));
  });

  it('go out as plain data and come back', async () => {
    const state = model.forward([[1], [2]], { logits: 'none' }).state;
    const snapshot = await model.exportState(state);
    expect(snapshot).toMatchObject({ version: 2, batch: 2, positions: [1, 1] });
    expect(snapshot.blocks).toEqual(new Array(2).fill({ kind: 'mamba', slots: { conv: [8, 2], ssm: [8, 2] } }));
    expect(snapshot.layers.map(({ conv, ssm }) => [conv?.length, ssm?.length])).toEqual(new Array(2).fill([32, 32]));
    expect(model.importState(snapshot)).toMatchObject({ batch: 2, positions: [1, 1] });
    await expect(model.exportState({} as ModelState)).rejects.toThrow(failure('invalid-argument'));
  });

  it.each<[string, (snapshot: StateSnapshot) => unknown]>([
    ['nothing', () => undefined],
    ['another version', (snapshot) => ({ ...snapshot, version: 3 })],
    ['another width', ({ blocks, ...snapshot }) => ({ ...snapshot, blocks: blocks.map(wider) })],
    ['another kind', ({ blocks, ...snapshot }) => ({ ...snapshot, blocks: blocks.map(foreign) })],
    ['no slots', ({ blocks, ...snapshot }) => ({ ...snapshot, blocks: blocks.map(({ kind }) => ({ kind })) })],
    ['one slot more', ({ blocks, ...snapshot }) => ({ ...snapshot, blocks: blocks.map(richer) })],
    ['blocks of another depth', ({ blocks, ...snapshot }) => ({ ...snapshot, blocks: blocks.slice(1) })],
    ['no blocks', ({ blocks: _, ...snapshot }) => snapshot],
    ['version 1 and another width', (snapshot) => ({ ...snapshot, version: 1, dInner: 9, dState: 2, dConv: 3 })],
    ['another depth', ({ layers, ...snapshot }) => ({ ...snapshot, layers: layers.slice(1) })],
    ['no layers', ({ layers: _, ...snapshot }) => snapshot],
    ['a batch that its layers have not', (snapshot) => ({ ...snapshot, batch: 2, positions: [1, 1] })],
    ['a batch of nothing', (snapshot) => ({ ...snapshot, batch: 0, positions: [] })],
    ['positions of another batch', (snapshot) => ({ ...snapshot, positions: [1, 1] })],
    ['an empty layer', ({ layers, ...snapshot }) => ({ ...snapshot, layers: layers.map(() => ({})) })],
  ])('a snapshot of %s is refused', async (_, edit) => {
    const snapshot = await model.exportState(model.forward([[1]], { logits: 'none' }).state);
    const before = tensors();
    expect(() => model.importState(edit(snapshot) as StateSnapshot)).toThrow(failure('invalid-file'));
    expect(tensors()).toBe(before);
  });
});

describe('readParameter', () => {
  it('refuses what is no parameter, and a model that is gone', async () => {
    await expect(model.readParameter('head.bias')).rejects.toThrow(failure('invalid-argument', 'model.readParameter'));
    expect(await model.readParameter('layers.1.block.dtBias')).toHaveLength(8);
    model.dispose();
    await expect(model.readParameter('embedding')).rejects.toThrow(failure('disposed'));
  });
});

describe('parameters', () => {
  it('are handles by name that read, and that nobody but the model disposes', async () => {
    const parameters = model.parameters();
    const before = tensors();
    expect(parameters.map(({ name }) => name)).toEqual(modelParameters(tinyConfig).map(({ name }) => name));
    for (const { tensor, shape } of parameters) {
      expect(tensor.shape).toEqual(shape);
      tensor.dispose();
      expect(tensor.disposed).toBe(false);
      expect(await backend.read(tensor)).toHaveLength(sizeOf(shape));
    }
    expect(tensors()).toBe(before);
    model.dispose();
    expect(parameters.every(({ tensor }) => tensor.disposed)).toBe(true);
    await expect(backend.read(parameters[0]!.tensor)).rejects.toThrow(failure('disposed'));
    expect(() => model.parameters()).toThrow(failure('disposed'));
  });
});

describe('createModel', () => {
  it('asks for each parameter once, in order, and tells how far it is', async () => {
    const asked: string[] = [];
    const progress: string[] = [];
    await createModel(
      backend,
      tinyConfig,
      ({ name, shape }) => {
        asked.push(name);
        return { dtype: 'float32', shape, data: new Float32Array(shape.reduce((a, b) => a * b)) };
      },
      { onProgress: (loaded, total) => progress.push(`${loaded}/${total}`) },
    );
    expect(asked).toEqual(modelParameters(tinyConfig).map(({ name }) => name));
    expect(new Set(asked).size).toBe(asked.length);
    expect(progress.at(-1)).toBe(`${asked.length}/${asked.length}`);
  });

  describe('from a source that gives rows', () => {
    const zeros = ({ shape }: Pick<ParameterSpec, 'shape'>): HostTensor => ({
      dtype: 'float32',
      shape,
      data: new Float32Array(sizeOf(shape)),
    });
    /** A source that gives all matrices but the embedding by rows. */
    const inRows = (
      asked: string[],
      row: (name: string, shape: readonly number[]) => HostTensor = (_, shape) => zeros({ shape }),
    ): ParameterSource =>
      Object.assign(
        (parameter: ParameterSpec) => {
          asked.push(parameter.name);
          return zeros(parameter);
        },
        {
          rows: ({ key, name, shape }: ParameterSpec) => {
            if (key === 'embedding') return undefined;
            asked.push(`${name} in rows`);
            return {
              dtype: 'float32' as const,
              shape,
              rows: (_: number, count: number) => row(name, [count, shape[1]!]),
            };
          },
        },
      );

    it('asks for matrices by rows, and for the others whole', async () => {
      driver.rowsAtOnce = 4;
      const asked: string[] = [];
      const before = tensors();
      const made = await createModel(backend, tinyConfig, inRows(asked));
      const parameters = modelParameters(tinyConfig);
      expect(tensors()).toBe(before + parameters.length);
      expect(asked).toEqual(
        parameters.map(({ name, key, role }) => (role === 'matrix' && key !== 'embedding' ? `${name} in rows` : name)),
      );
      made.dispose();
      expect(tensors()).toBe(before);
    });

    it('keeps nothing where rows fail, are of another shape, or come after an abort', async () => {
      driver.rowsAtOnce = 4;
      const before = driver.live.size;
      const [cause, name] = [new Error('gone'), 'layers.1.block.outProj'];
      const load = (row: (shape: readonly number[]) => HostTensor, signal?: AbortSignal): Promise<Model> => {
        const source = inRows([], (asked, shape) => (asked === name ? row(shape) : zeros({ shape })));
        return createModel(backend, tinyConfig, source, { signal });
      };
      const fail = (): never => {
        throw cause;
      };
      await expect(load(fail)).rejects.toBe(cause);
      await expect(load(() => zeros({ shape: [1, 1] }))).rejects.toThrow(
        failure('invalid-argument', 'uploadRows.rows'),
      );
      const controller = new AbortController();
      const aborting = load((shape) => {
        controller.abort();
        return zeros({ shape });
      }, controller.signal);
      await expect(aborting).rejects.toThrow(failure('aborted'));
      const wrong = Object.assign(inRows([]), {
        rows: () => ({ dtype: 'float32' as const, shape: [2, 2], rows: fail }),
      });
      await expect(createModel(backend, tinyConfig, wrong)).rejects.toThrow(failure('invalid-argument', 'embedding'));
      expect(driver.live.size).toBe(before);
    });
  });

  it('counts the weights of mamba-130m as published', () => {
    const config = modelConfig({ layers: 24, dModel: 768, vocabSize: 50280 });
    expect(parameterCount(config)).toBe(129_135_360);
    expect(parameterCount({ ...config, tiedHead: false }) - parameterCount(config)).toBe(50280 * 768);
  });

  it('refuses a parameter of the wrong shape, an unsupported dtype, and stops when told to', async () => {
    const before = tensors();
    const wrong = (): HostTensor => ({ dtype: 'float32', shape: [1], data: new Float32Array(1) });
    await expect(createModel(backend, tinyConfig, wrong)).rejects.toThrow(failure('invalid-argument', 'embedding'));
    await expect(createModel(backend, tinyConfig, () => undefined as never)).rejects.toThrow(
      failure('invalid-argument'),
    );
    const zeros = ({ shape }: { shape: readonly number[] }): HostTensor => ({
      dtype: 'float32',
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b)),
    });
    await expect(createModel(backend, tinyConfig, zeros, { weights: 'q8' })).rejects.toThrow(failure('unsupported'));
    const signal = AbortSignal.abort();
    await expect(createModel(backend, tinyConfig, zeros, { signal })).rejects.toThrow(failure('aborted'));
    await expect(createModel(backend, tinyConfig, zeros, { dtype: 'q8' } as never)).rejects.toThrow(
      failure('invalid-argument'),
    );
    expect(tensors()).toBe(before);
  });

  it.each([
    ['layers', 0],
    ['dModel', -1],
    ['dState', 1.5],
    ['dConv', 1],
    ['vocabSize', Number.NaN],
    ['normEps', -1],
    ['tiedHead', 'yes'],
    ['width', 3],
  ])('refuses a config with %s %s', (key, value) => {
    expect(() => modelConfig({ layers: 1, dModel: 4, vocabSize: 8 }, { [key]: value })).toThrow(
      failure('invalid-argument', `modelConfig.${key}`),
    );
  });

  it('a disposed model frees its weights and refuses to work', () => {
    model.dispose();
    model.dispose();
    expect(tensors()).toBe(0);
    expect(model.disposed).toBe(true);
    expect(() => model.forward([[1]])).toThrow(failure('disposed'));
    expect(() => model.decode([[1]], undefined, { count: 1 })).toThrow(failure('disposed'));
  });
});
