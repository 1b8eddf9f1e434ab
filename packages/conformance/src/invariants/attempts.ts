/** Inputs and types for calls that must be refused. */
import type { Backend, BlockWeights, ErrorCode, Tensor } from '@mamba/core';
import { type BlockCaseOptions, uploadBlock } from '../cases/block.ts';
import { floats, integers } from '../cases/host.ts';
import type { Arena } from './arena.ts';

/** A call that must throw. */
export type Attempt = () => unknown;
/** A name, the error's code, and a function that makes the inputs of the call and returns the call. */
export type BadInput = readonly [string, ErrorCode, (inputs: Inputs) => Attempt];

/** A value of a type that only callers without types can pass. */
export const untyped = <T>(value: unknown): T => value as T;

/** Makes the inputs of a bad call. All but the foreign ones are on the backend under test. */
export class Inputs {
  readonly backend: Backend;
  readonly #arena: Arena;
  readonly #other: Arena;

  constructor(arena: Arena, other: Arena) {
    this.backend = arena.backend;
    this.#arena = arena;
    this.#other = other;
  }

  floats(...shape: number[]): Tensor {
    return this.#arena.upload(floats(shape, (index) => index / 8));
  }

  ids(shape: readonly number[], value = 0): Tensor {
    return this.#arena.upload(integers(shape, () => value));
  }

  foreign(...shape: number[]): Tensor {
    return this.#other.upload(floats(shape, () => 0));
  }

  disposed(...shape: number[]): Tensor {
    const tensor = this.floats(...shape);
    tensor.dispose();
    return tensor;
  }

  /** The weights of a block. */
  block(config: BlockCaseOptions['config']): BlockWeights<Tensor> {
    return this.#arena.all(uploadBlock(this.backend, { config }));
  }

  /** A scan of 6 channels and 3 states. The returned function replaces some of its valid inputs. */
  scan() {
    const [u, delta, A, B, C] = [
      this.floats(2, 4, 6),
      this.floats(2, 4, 6),
      this.floats(6, 3),
      this.floats(2, 4, 1, 3),
      this.floats(2, 4, 1, 3),
    ];
    const call = (spoilt: Partial<Record<'u' | 'delta' | 'A' | 'B' | 'C', Tensor>>, options: object = {}) => {
      const all = { u, delta, A, B, C, ...spoilt };
      return () => this.backend.selectiveScan(all.u, all.delta, all.A, all.B, all.C, options);
    };
    return call;
  }

  /** Mamba-2's scan of 2 heads of 3 channels and 4 states, as `scan`. */
  ssd(spoilt: Partial<Record<'x' | 'dt' | 'A' | 'B' | 'C', Tensor>>, options: object = {}) {
    const all = {
      x: this.floats(2, 4, 2, 3),
      dt: this.floats(2, 4, 2),
      A: this.floats(2),
      B: this.floats(2, 4, 1, 4),
      C: this.floats(2, 4, 1, 4),
      ...spoilt,
    };
    return () => this.backend.ssdScan(all.x, all.dt, all.A, all.B, all.C, options);
  }

  conv(spoilt: { x?: Tensor; weight?: Tensor; bias?: Tensor }, options: object = {}) {
    const all = { x: this.floats(2, 4, 6), weight: this.floats(6, 4), bias: this.floats(6), ...spoilt };
    return () => this.backend.causalConv1d(all.x, all.weight, all.bias, options);
  }
}
