/** A driver that runs every kernel on the reference, so that a test can replace one of them. */
import type { Backend, BackendProvider, Shape, Tensor } from '@mamba/core';
import { createBackend, type Driver, type Kernels } from '@mamba/core/driver';
import { sameShape } from '@mamba/core/toolkit';
import { reference } from '@mamba/reference';

/** The storage of this driver: a reference tensor that can be replaced, as memory can be written to. */
export interface Cell {
  tensor: Tensor;
}

export type WrappedDriver = Driver<Cell>;

/** `spoil` gets the correct driver and its reference backend, and returns the parts to replace. */
export function wrapped(
  spoil: (sound: WrappedDriver, inner: Backend) => Partial<WrappedDriver> = () => ({}),
): BackendProvider {
  return {
    name: 'wrapped',
    async create() {
      const inner = await reference().create();
      const sound = wrap(inner);
      return createBackend({ ...sound, ...spoil(sound, inner) });
    },
  };
}

function wrap(inner: Backend): WrappedDriver {
  return {
    name: 'wrapped',
    description: 'the reference, once more',
    details: {},
    precision: 'float64',
    kernels: kernelsOf(inner),
    upload: (host, { dtype, role }) => ({ tensor: inner.upload(host, { dtype, role }) }),
    read: ({ storage }) => inner.read(storage.tensor),
    free: ({ tensor }) => tensor.dispose(),
    synchronize: () => inner.synchronize(),
    memory: () => inner.memory(),
    dispose: () => inner.dispose(),
  };
}

/** Its shape is another than that of its storage where `reshape` was computed by the kernel of `slice`. */
interface Stored {
  readonly shape: Shape;
  readonly storage: Cell;
}

function kernelsOf(inner: Backend): Kernels<Cell> {
  const at = ({ shape, storage }: Stored): Tensor => {
    if (!sameShape(storage.tensor.shape, shape)) {
      const { tensor } = storage;
      storage.tensor = inner.reshape(tensor, shape);
      tensor.dispose();
    }
    return storage.tensor;
  };
  const maybe = (tensor: Stored | undefined): Tensor | undefined => tensor && at(tensor);
  const cell = (tensor: Tensor): Cell => ({ tensor });
  return {
    selectiveScan({ u, delta, A, B, C, D, z, deltaBias, initialState, resets, deltaSoftplus, discretization }) {
      const { y, lastState } = inner.selectiveScan(at(u), at(delta), at(A), at(B), at(C), {
        D: maybe(D),
        z: maybe(z),
        deltaBias: maybe(deltaBias),
        initialState: maybe(initialState),
        resets: maybe(resets),
        deltaSoftplus,
        discretization,
      });
      return { y: cell(y), lastState: cell(lastState) };
    },
    causalConv1d({ x, weight, bias, initialState, resets, activation }) {
      const options = { initialState: maybe(initialState), resets: maybe(resets), activation };
      const { y, lastState } = inner.causalConv1d(at(x), at(weight), maybe(bias), options);
      return { y: cell(y), lastState: cell(lastState) };
    },
    linear: ({ x, weight, bias }) => cell(inner.linear(at(x), at(weight), maybe(bias))),
    rmsNorm: ({ x, weight, eps }) => cell(inner.rmsNorm(at(x), { weight: maybe(weight), eps })),
    layerNorm: ({ x, weight, bias, eps }) =>
      cell(inner.layerNorm(at(x), { weight: maybe(weight), bias: maybe(bias), eps })),
    embedding: ({ table, ids }) => cell(inner.embedding(at(table), at(ids))),
    add: ({ a, b }) => cell(inner.add(at(a), at(b))),
    multiply: ({ a, b, activation, scale }) => cell(inner.multiply(at(a), maybe(b), { activation, scale })),
    slice: ({ x, axis, start, end }) => cell(inner.slice(at(x), axis, start, end)),
    concat: ({ tensors, axis }) => cell(inner.concat(tensors.map(at), axis)),
    argmax: ({ logits, checked }) => cell(inner.argmax(at(logits), { checked })),
    sample: ({ logits, uniform, temperature, topK, topP, minP, checked }) =>
      cell(inner.sample(at(logits), at(uniform), { temperature, topK, topP, minP, checked })),
    logProb: ({ logits, ids }) => cell(inner.logProb(at(logits), at(ids))),
  };
}
