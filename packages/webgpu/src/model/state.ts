import { invalid, type KernelState, type LayerSnapshot, type ModelConfig } from '@mamba/core/driver';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import type { Allocator, Gpu } from '../gpu/gpu.ts';

export interface LayerState {
  /** `[batch, dInner, dConv - 1]`, newest last. */
  readonly conv: PooledBuffer;
  /** `[batch, dInner, dState]` */
  readonly ssm: PooledBuffer;
}

/** A model's state: two buffers a layer, which never leave the device unless exported. */
export class FusedState implements KernelState {
  readonly batch: number;
  readonly bytes: number;
  readonly layers: readonly LayerState[];
  readonly #gpu: Gpu;

  constructor(gpu: Gpu, layers: readonly LayerState[], batch: number) {
    this.#gpu = gpu;
    this.layers = layers;
    this.batch = batch;
    this.bytes = layers.reduce((sum, { conv, ssm }) => sum + conv.size + ssm.size, 0);
  }

  dispose(): void {
    for (const { conv, ssm } of this.layers) {
      this.#gpu.pool.give(conv);
      this.#gpu.pool.give(ssm);
    }
  }
}

export function stateOf(state: KernelState | undefined): FusedState | undefined {
  if (state === undefined || state instanceof FusedState) return state;
  throw invalid('model.state', 'a state of another kernel', 'a state that this model made');
}

export function convBytes({ dInner, dConv }: ModelConfig, batch: number): number {
  return 4 * batch * dInner * (dConv - 1);
}

export function ssmBytes({ dInner, dState }: ModelConfig, batch: number): number {
  return 4 * batch * dInner * dState;
}

export function allocateState(allocator: Allocator, config: ModelConfig, batch: number): readonly LayerState[] {
  return Array.from({ length: config.layers }, () => ({
    conv: allocator.result(convBytes(config, batch), 'conv state'),
    ssm: allocator.result(ssmBytes(config, batch), 'ssm state'),
  }));
}

/** Memory of a state that a call may write to: the given one if it was donated, else a copy, or zeros. */
export function writableState(
  gpu: Gpu,
  allocator: Allocator,
  config: ModelConfig,
  previous: FusedState | undefined,
  donated: boolean,
  batch: number,
): readonly LayerState[] {
  if (donated && previous !== undefined) return previous.layers;
  const layers = allocateState(allocator, config, batch);
  for (const [index, target] of layers.entries()) {
    for (const part of ['conv', 'ssm'] as const) {
      const source = previous?.layers[index]?.[part];
      const { buffer, size } = target[part];
      if (source === undefined) gpu.recorder.clear(buffer, 0, size);
      else gpu.recorder.copy(source.buffer, 0, buffer, 0, size);
    }
  }
  return layers;
}

export function gatherState(
  gpu: Gpu,
  config: ModelConfig,
  rows: readonly { readonly state: KernelState; readonly row: number }[],
): FusedState {
  return gpu.allocating((allocator) => {
    const layers = allocateState(allocator, config, rows.length);
    const widths = { conv: convBytes(config, 1), ssm: ssmBytes(config, 1) };
    for (const [index, target] of layers.entries()) {
      for (const [to, { state, row }] of rows.entries()) {
        const source = stateOf(state)!.layers[index]!;
        for (const part of ['conv', 'ssm'] as const) {
          const width = widths[part];
          gpu.recorder.copy(source[part].buffer, row * width, target[part].buffer, to * width, width);
        }
      }
    }
    return new FusedState(gpu, layers, rows.length);
  });
}

export async function exportState(gpu: Gpu, config: ModelConfig, state: FusedState): Promise<readonly LayerSnapshot[]> {
  const read = async ({ buffer }: PooledBuffer, bytes: number) =>
    new Float32Array(await gpu.readback.read(buffer, 0, bytes));
  return Promise.all(
    state.layers.map(async ({ conv, ssm }) => {
      const [convValues, ssmValues] = await Promise.all([
        read(conv, convBytes(config, state.batch)),
        read(ssm, ssmBytes(config, state.batch)),
      ]);
      return { conv: convValues, ssm: ssmValues };
    }),
  );
}

export function importState(
  gpu: Gpu,
  config: ModelConfig,
  snapshots: readonly LayerSnapshot[],
  batch: number,
): FusedState {
  return gpu.allocating((allocator) => {
    const layers = allocateState(allocator, config, batch);
    for (const [index, { conv, ssm }] of snapshots.entries()) {
      gpu.recorder.write(layers[index]!.conv.buffer, 0, floatBytes(conv));
      gpu.recorder.write(layers[index]!.ssm.buffer, 0, floatBytes(ssm));
    }
    return new FusedState(gpu, layers, batch);
  });
}

function floatBytes(values: Float32Array | Float64Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Float32Array.from(values).buffer);
}
