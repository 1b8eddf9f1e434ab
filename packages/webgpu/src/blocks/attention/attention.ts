/** The attention block as core calls it, on the cache that core keeps. Core defines it in blocks/attention. */
import type { Tensor } from '@mamba/core';
import { type BlockState, type DeviceTensor, reachOf, scoped, uniform } from '@mamba/core/driver';
import type { Storage } from '../../storage.ts';
import type { BoundBlock, CoreCall } from '../bound-block.ts';
import { shareBuffers } from '../buffers.ts';
import { type AttentionBlock, attentionBlockRefusal } from './block.ts';
import { extendCache } from './cache.ts';
import { attentionBuffers, dispatchAttention } from './dispatch.ts';

export function attentionForCore(block: AttentionBlock): BoundBlock {
  return {
    refusal: (batch, length) => attentionBlockRefusal(block, batch, length),
    run: (call) => run(block, call),
    repack: () => block.weights.repack(),
    dispose: () => block.weights.dispose(),
  };
}

function run(block: AttentionBlock, { x, y, accumulate, ...call }: CoreCall): BlockState {
  const { kernels, context } = block;
  const { positions, batch, length } = call;
  return scoped((scope) => {
    const { reach, begun } = reachOf(context.backend, scope, call);
    const cache = extendCache(block, scope, call.state, [batch, length], positions);
    const [k, v] = cache.tensors.map((tensor) => context.device(tensor)) as [
      DeviceTensor<Storage>,
      DeviceTensor<Storage>,
    ];
    const row = cache.before[0]!;
    const even = uniform(cache.before) && uniform(positions);
    const memory = {
      ...{ batch, length, x, y, accumulate, k, v, row, position: positions[0]! },
      // A single row of the batch ends where its keys do, so that no room behind them is looked at.
      keys: batch === 1 ? row + length : k.shape[1]!,
      places: even ? undefined : kernels.places.of(cache.before, positions),
      reach: reach && context.device(reach),
    };
    kernels.gpu.allocating((allocator) => {
      const sizes = attentionBuffers(block, batch * length);
      const [buffers] = shareBuffers([sizes], ({ bytes, label }) => allocator.scratch(bytes, label));
      dispatchAttention(block, { ...memory, buffers: buffers! });
    });
    const [lastK, lastV] = cache.state.map((tensor) => scope.release(tensor)) as [Tensor, Tensor];
    return { k: lastK, v: lastV, begun: scope.release(begun) };
  });
}
