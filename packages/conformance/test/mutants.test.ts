/** Tests that the suite finds mistakes: backends with one deliberate mistake each, and the checks that must fail. */
import type { Backend } from '@mamba/core';
import { copyFloats, type Kernels, sizeOf } from '@mamba/core/driver';
import { describe, expect, test } from 'vitest';
import { runConformance } from '../src/runner/run.ts';
import { type Cell, type WrappedDriver, wrapped } from './wrapped-driver.ts';

interface Mutant {
  readonly mistake: string;
  readonly spoil: (sound: WrappedDriver, inner: Backend) => Partial<WrappedDriver>;
  readonly caughtBy: readonly string[];
}

const kernels = (change: (sound: Kernels<Cell>, inner: Backend) => Partial<Kernels<Cell>>): Mutant['spoil'] => {
  return ({ kernels: sound }, inner) => ({ kernels: { ...sound, ...change(sound, inner) } });
};

const MUTANTS: readonly Mutant[] = [
  {
    mistake: 'forgets D',
    spoil: kernels(({ selectiveScan }) => ({ selectiveScan: (call) => selectiveScan({ ...call, D: undefined }) })),
    caughtBy: [
      'selective-scan/with-D',
      'golden/scan-golden/opt_D1z0bias0sp0',
      'block/usual',
      'properties/selective-scan',
    ],
  },
  {
    mistake: 'adds the bias twice',
    spoil: kernels(({ selectiveScan, add }) => ({
      selectiveScan(call) {
        const { deltaBias } = call;
        if (deltaBias === undefined) return selectiveScan(call);
        const twice = add({ a: deltaBias, b: deltaBias, size: 0 });
        try {
          return selectiveScan({ ...call, deltaBias: { ...deltaBias, storage: twice } });
        } finally {
          twice.tensor.dispose();
        }
      },
    })),
    caughtBy: ['selective-scan/bias-added-once', 'selective-scan/with-deltaBias', 'checkpoint/mamba-tiny'],
  },
  {
    mistake: 'deals groups out in turn instead of in runs',
    spoil: kernels(({ selectiveScan }, inner) => ({
      selectiveScan(call) {
        if (call.groups === 1 || call.constantB) return selectiveScan(call);
        const dealt = (cell: Cell): Cell => {
          const parts = Array.from({ length: call.dim }, (_, channel) =>
            inner.slice(cell.tensor, 2, channel % call.groups, (channel % call.groups) + 1),
          );
          const tensor = inner.concat(parts, 2);
          for (const part of parts) part.dispose();
          return { tensor };
        };
        if (call.constantC) return selectiveScan(call);
        const [B, C] = [dealt(call.B.storage), dealt(call.C.storage)];
        try {
          return selectiveScan({ ...call, B: { ...call.B, storage: B }, C: { ...call.C, storage: C } });
        } finally {
          B.tensor.dispose();
          C.tensor.dispose();
        }
      },
    })),
    caughtBy: ['selective-scan/groups-repeat-interleave', 'golden/scan-golden/groups2'],
  },
  {
    mistake: 'drops the last state',
    spoil: kernels(({ selectiveScan }, inner) => ({
      selectiveScan(call) {
        const { y, lastState } = selectiveScan(call);
        lastState.tensor.dispose();
        const { batch, dim, state } = call;
        const data = new Float64Array(batch * dim * state);
        return { y, lastState: { tensor: inner.upload({ dtype: 'float64', shape: [batch, dim, state], data }) } };
      },
    })),
    caughtBy: ['selective-scan/len17', 'invariants/selective-scan/steps', 'invariants/model/chunks-of-8'],
  },
  {
    mistake: 'ignores resets',
    spoil: kernels(({ selectiveScan }) => ({ selectiveScan: (call) => selectiveScan({ ...call, resets: undefined }) })),
    caughtBy: [
      'selective-scan/with-resets',
      'invariants/selective-scan/packed-is-separate',
      'invariants/model/packed-is-separate',
    ],
  },
  {
    mistake: 'takes zoh for euler',
    spoil: kernels(({ selectiveScan }) => ({
      selectiveScan: (call) => selectiveScan({ ...call, discretization: 'euler' }),
    })),
    caughtBy: ['selective-scan/zoh-all-on', 'properties/selective-scan'],
  },
  {
    mistake: 'keeps the convolution state oldest last',
    spoil: kernels(({ causalConv1d }, inner) => ({
      causalConv1d(call) {
        const { y, lastState } = causalConv1d(call);
        const columns = Array.from({ length: call.width - 1 }, (_, column) =>
          inner.slice(lastState.tensor, 2, column, column + 1),
        );
        const tensor = inner.concat(columns.toReversed(), 2);
        for (const dead of [...columns, lastState.tensor]) dead.dispose();
        return { y, lastState: { tensor } };
      },
    })),
    caughtBy: ['causal-conv1d/state-newest-last', 'invariants/causal-conv1d-width4/steps', 'checkpoint/mamba-tiny'],
  },
  {
    mistake: 'writes to its input',
    spoil: kernels(({ selectiveScan }, inner) => ({
      selectiveScan(call) {
        const result = selectiveScan(call);
        const { tensor } = call.u.storage;
        call.u.storage.tensor = inner.add(tensor, tensor);
        tensor.dispose();
        return result;
      },
    })),
    caughtBy: ['invariants/calls/selective-scan/inputs-unmodified', 'invariants/selective-scan/inputs-unmodified'],
  },
  {
    mistake: 'writes to the state that it was given',
    spoil: kernels(({ causalConv1d }, inner) => ({
      causalConv1d(call) {
        const result = causalConv1d(call);
        const given = call.initialState?.storage;
        if (given) {
          given.tensor.dispose();
          given.tensor = inner.slice(result.lastState.tensor, 0, 0, call.batch);
        }
        return result;
      },
    })),
    caughtBy: ['invariants/causal-conv1d-width4/inputs-unmodified', 'invariants/model-state/is-not-written-to'],
  },
  {
    mistake: 'gives other bits at each call',
    spoil: kernels(({ linear }, inner) => {
      let calls = 0;
      return {
        linear(call) {
          const y = linear(call);
          const { shape } = y.tensor;
          const data = new Float64Array(shape.reduce((size, extent) => size * extent, 1)).fill(++calls * 1e-17);
          const noise = inner.upload({ dtype: 'float64', shape, data });
          const tensor = inner.add(y.tensor, noise);
          for (const dead of [noise, y.tensor]) dead.dispose();
          return { tensor };
        },
      };
    }),
    caughtBy: ['invariants/calls/linear/deterministic', 'invariants/block/deterministic'],
  },
  {
    mistake: 'never frees',
    spoil: () => ({ free() {} }),
    caughtBy: [
      'invariants/calls/selective-scan/dispose-frees',
      'invariants/calls/add/dispose-frees',
      'invariants/model-state/dispose-frees-states',
    ],
  },
  {
    mistake: 'leaks scratch',
    spoil: kernels(({ add }, inner) => ({
      add(call) {
        inner.add(call.a.storage.tensor, call.b.storage.tensor);
        return add(call);
      },
    })),
    caughtBy: ['invariants/calls/add/dispose-frees', 'invariants/calls/model/dispose-frees'],
  },
  {
    mistake: 'ignores eps',
    spoil: kernels(({ rmsNorm }) => ({ rmsNorm: (call) => rmsNorm({ ...call, eps: 1e-5 }) })),
    caughtBy: ['rms-norm/eps-matters', 'rms-norm/eps-large', 'properties/rms-norm'],
  },
  {
    mistake: 'leaves the mean in a layer norm',
    spoil: kernels(({ layerNorm, rmsNorm }) => ({
      layerNorm: (call) => (call.bias === undefined ? rmsNorm(call) : layerNorm(call)),
    })),
    caughtBy: ['layer-norm/alone', 'layer-norm/no-bias', 'layer-norm/first-is-far', 'properties/layer-norm'],
  },
  {
    mistake: 'forgets the bias of a layer norm',
    spoil: kernels(({ layerNorm }) => ({ layerNorm: (call) => layerNorm({ ...call, bias: undefined }) })),
    caughtBy: ['layer-norm/no-weight', 'layer-norm/equal-10000', 'properties/layer-norm'],
  },
  {
    mistake: 'takes one gelu for the other',
    spoil: kernels(({ multiply }) => ({
      multiply: (call) => multiply({ ...call, activation: call.activation === 'gelu-tanh' ? 'gelu' : call.activation }),
    })),
    caughtBy: ['multiply/gelu-tanh-one-s3x41', 'multiply/gelu-tanh-tail', 'properties/multiply'],
  },
  {
    mistake: 'forgets the scale of a single factor',
    spoil: kernels(({ multiply }) => ({
      multiply: (call) => multiply(call.b === undefined ? { ...call, scale: 1 } : call),
    })),
    caughtBy: ['multiply/none-one-scaled', 'multiply/scale-tiny', 'properties/multiply'],
  },
  {
    mistake: 'has 1 + erf cancel',
    spoil: kernels(({ multiply }, inner) => ({
      multiply(call) {
        if (call.activation !== 'gelu' || call.b === undefined) return multiply(call);
        const exact = multiply({ ...call, b: undefined });
        const lost = new Float64Array(call.size).fill(2 ** -53);
        const noise = inner.upload({ dtype: 'float64', shape: call.a.shape, data: lost });
        const cancelled = inner.add(exact.tensor, noise);
        const tensor = inner.multiply(cancelled, call.b.storage.tensor);
        for (const dead of [exact.tensor, noise, cancelled]) dead.dispose();
        return { tensor };
      },
    })),
    caughtBy: ['multiply/gelu-tail'],
  },
  {
    mistake: 'ignores topK',
    spoil: kernels(({ sample }) => ({ sample: (call) => sample({ ...call, topK: call.vocab }) })),
    caughtBy: ['sample/ties-lowest-index-kept', 'properties/sample'],
  },
  {
    mistake: 'chooses a token where none follows',
    spoil: kernels(({ argmax, sample }) => ({
      argmax: (call) => argmax({ ...call, checked: false }),
      sample: (call) => sample({ ...call, checked: false }),
    })),
    caughtBy: ['argmax/nan-checked', 'sample/infinite-checked', 'invariants/not-finite/decode-marks-its-row'],
  },
  {
    mistake: 'hides NaN',
    spoil: kernels(({ selectiveScan }) => ({
      selectiveScan: (call) => selectiveScan({ ...call, z: undefined }),
    })),
    caughtBy: ['selective-scan/nan-z', 'selective-scan/infinite-z'],
  },
  {
    mistake: 'declines what every backend must do',
    spoil: () => ({
      supports(operation, call) {
        const refused = operation === 'selectiveScan' && 'discretization' in call && call.discretization === 'zoh';
        return refused ? { supported: false, reason: 'zoh is hard' } : { supported: true };
      },
    }),
    caughtBy: ['selective-scan/zoh-all-on', 'selective-scan/zoh-state16'],
  },
  {
    mistake: 'is inexact in float64',
    spoil: kernels(({ linear }, inner) => ({
      linear(call) {
        const y = linear(call);
        const zero = {
          dtype: 'float64',
          shape: y.tensor.shape,
          data: new Float64Array(call.rows * call.outputs).fill(1e-8),
        } as const;
        const noise = inner.upload(zero);
        const tensor = inner.add(y.tensor, noise);
        for (const dead of [noise, y.tensor]) dead.dispose();
        return { tensor };
      },
    })),
    caughtBy: ['linear/rank3', 'checkpoint/mamba-tiny', 'invariants/model-state/reference-to-backend-untied'],
  },
  {
    mistake: 'writes all rows of an upload to the same place',
    spoil: (_, inner) => ({
      uploadRows({ shape }, options) {
        const data = new Float64Array(sizeOf(shape));
        const make = () => inner.upload({ dtype: 'float64', shape, data }, options);
        const storage: Cell = { tensor: make() };
        return {
          storage,
          rowsAtOnce: 16,
          write(rows) {
            copyFloats(rows, data);
            storage.tensor.dispose();
            storage.tensor = make();
          },
        };
      },
    }),
    caughtBy: ['invariants/upload-rows/float64'],
  },
];

describe('mutants', () => {
  test('the wrapper by itself passes everything', async () => {
    const backend = await wrapped().create();
    const { results, failed } = await runConformance(backend, { scope: ['cases', 'invariants', 'golden'] });
    expect(results.filter(({ pass }) => !pass)).toEqual([]);
    expect(failed).toBe(0);
    expect(results.length).toBeGreaterThan(1500);
    await backend.dispose();
  });

  test.each(MUTANTS)('one that $mistake is caught', async ({ spoil, caughtBy }) => {
    const backend = await wrapped(spoil).create();
    const { checks } = await runConformance(backend, { filter: (id) => caughtBy.includes(id) });
    expect(checks.map(({ id, status }) => `${id} ${status}`).sort()).toEqual(
      caughtBy.map((id) => `${id} failed`).sort(),
    );
    await backend.dispose();
  });
});
