import { invalid, type KernelState, type LayerSnapshot, type ModelConfig } from '@mamba/core/driver';
import type { Block } from '../memory/allocator.ts';
import type { Arena, Heap } from '../memory/heap.ts';
import { ELEMENT } from '../operations/context.ts';

/** A model's state in one block: for each layer conv `[batch, dInner, dConv - 1]`, then ssm `[batch, dInner, dState]`. */
export class FusedState implements KernelState {
  readonly batch: number;
  readonly block: Block;

  constructor(block: Block, batch: number) {
    this.block = block;
    this.batch = batch;
  }

  get bytes(): number {
    return this.block.bytes;
  }

  dispose(): void {
    this.block.free();
  }
}

export function stateOf(state: KernelState | undefined): FusedState | undefined {
  if (state === undefined || state instanceof FusedState) return state;
  throw invalid('model.state', 'a state of another kernel', 'a state that this model made');
}

type Sizes = Pick<ModelConfig, 'dInner' | 'dState' | 'dConv' | 'layers'>;

/** Bytes of one row of a layer's parts. */
function rowBytes({ dInner, dState, dConv }: Sizes): readonly [conv: number, ssm: number] {
  return [dInner * (dConv - 1) * ELEMENT, dInner * dState * ELEMENT];
}

export function stateBytes(config: Sizes, batch: number): number {
  const [conv, ssm] = rowBytes(config);
  return config.layers * batch * (conv + ssm);
}

/** Where a layer's parts lie from the start of a state. */
export function layerOffsets(config: Sizes, batch: number, layer: number): readonly [conv: number, ssm: number] {
  const [conv, ssm] = rowBytes(config);
  const start = layer * batch * (conv + ssm);
  return [start, start + batch * conv];
}

export function copyState(heap: Heap, from: FusedState | undefined, to: Block): void {
  const target = heap.bytes(to, to.bytes);
  if (from === undefined) target.fill(0);
  else target.set(heap.bytes(from.block, from.block.bytes));
}

export function gatherState(
  heap: Heap,
  config: Sizes,
  rows: readonly { readonly state: KernelState; readonly row: number }[],
): FusedState {
  return heap.run((arena) => {
    const block = arena.result(stateBytes(config, rows.length));
    const target = heap.bytes(block, block.bytes);
    const widths = rowBytes(config);
    for (const [to, { state, row }] of rows.entries()) {
      const source = stateOf(state)!;
      const values = heap.bytes(source.block, source.block.bytes);
      for (let layer = 0; layer < config.layers; layer++) {
        const [from, into] = [layerOffsets(config, source.batch, layer), layerOffsets(config, rows.length, layer)];
        for (const part of [0, 1] as const) {
          const [width, start] = [widths[part], from[part] + row * widths[part]];
          target.set(values.subarray(start, start + width), into[part] + to * width);
        }
      }
    }
    return new FusedState(block, rows.length);
  });
}

export function exportState(heap: Heap, config: Sizes, { block, batch }: FusedState): readonly LayerSnapshot[] {
  const values = heap.floats(block, stateBytes(config, batch) / ELEMENT);
  return eachLayer(config, batch, (conv, ssm, end) => ({ conv: values.slice(conv, ssm), ssm: values.slice(ssm, end) }));
}

export function importState(heap: Heap, config: Sizes, snapshots: readonly LayerSnapshot[], batch: number): FusedState {
  return heap.run((arena: Arena) => {
    const block = arena.result(stateBytes(config, batch));
    const values = heap.floats(block, stateBytes(config, batch) / ELEMENT);
    eachLayer(config, batch, (conv, ssm, _end, layer) => {
      values.set(snapshots[layer]!.conv, conv);
      values.set(snapshots[layer]!.ssm, ssm);
    });
    return new FusedState(block, batch);
  });
}

/** The parts' places, in elements. */
function eachLayer<R>(
  config: Sizes,
  batch: number,
  visit: (conv: number, ssm: number, end: number, layer: number) => R,
): R[] {
  return Array.from({ length: config.layers }, (_, layer) => {
    const [conv, ssm] = layerOffsets(config, batch, layer);
    const [end] = layerOffsets(config, batch, layer + 1);
    return visit(conv / ELEMENT, ssm / ELEMENT, end / ELEMENT, layer);
  });
}
