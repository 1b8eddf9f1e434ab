import type { Results } from '@mamba/core/driver';
import { type AttentionBackwardCall, BLOCK, BOUNDS, EXTENT, LANES } from '../generated/calls.ts';
import type { Storage } from '../memory/storage.ts';
import { type Command, runCommands, threadScratch } from '../program/program.ts';
import {
  attentionInputs,
  batchRows,
  eachGroup,
  NO_MEMORY,
  type Packing,
  packCommand,
  packedFloats,
  paddedChannels,
} from './attention.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/** The gradients of attention: a walk over the keys for dq, and one over the rows for dk and dv. */
export function attentionBackward(
  context: Context,
  call: Call<'attentionBackward'>,
): Results<Storage>['attentionBackward'] {
  const { batch, queries, keys, heads, kvHeads, headDim } = call;
  const { heap, team } = context;
  return heap.run((arena) => {
    const total = batch * queries * heads;
    const result = (size: number) => arena.result(size * ELEMENT);
    const gradients = {
      q: result(total * headDim),
      k: result(batch * keys * kvHeads * headDim),
      v: result(batch * keys * kvHeads * headDim),
    };
    const rows = (queries * heads) / kvHeads;
    const channels = paddedChannels(context, headDim);
    const options = {
      ...attentionInputs(context, call),
      y: addressOf(call.y),
      logSumExp: addressOf(call.logSumExp),
    };
    const dy = addressOf(call.dy);
    const { q, k, v, scale, softcap } = options;
    const forms: readonly (Omit<Packing, 'to'> & { readonly name: PackedForm })[] = [
      { name: 'keyTiles', from: k, ofQueries: false, turned: true },
      { name: 'valueTiles', from: v, ofQueries: false, turned: true },
      { name: 'keyChannels', from: k, ofQueries: false, turned: false },
      { name: 'queryTiles', from: q, ofQueries: true, turned: true, factor: queryFactor(scale, softcap) },
      { name: 'queryChannels', from: q, ofQueries: true, turned: false, factor: scale },
      { name: 'dyTiles', from: dy, ofQueries: true, turned: true },
      { name: 'dyChannels', from: dy, ofQueries: true, turned: false },
    ];
    const floats = forms.map(({ ofQueries, turned }) =>
      packedFloats(ofQueries ? rows : keys, kvHeads, turned ? headDim : channels),
    );
    const together = batchRows(
      batch,
      floats.reduce((sum, size) => sum + size, 0),
    );
    const packed = Object.fromEntries(
      forms.map(({ name }, index) => [name, arena.scratch(together * floats[index]! * ELEMENT).address]),
    ) as Readonly<Record<PackedForm, number>>;
    const bytes = 64 + 2 * BLOCK * 64 + LANES * headDim * ELEMENT + BOUNDS + EXTENT + 128;
    const scratch = threadScratch(arena, team, bytes + 2 * (headDim + channels) * 64);
    const common: AttentionBackwardCall = {
      ...options,
      ...NO_MEMORY,
      ...packed,
      firstRow: 0,
      dy,
      dLogSumExp: addressOf(call.dLogSumExp),
      rows: arena.scratch(total * 2 * ELEMENT).address,
      dq: gradients.q.address,
      dk: gradients.k.address,
      dv: gradients.v.address,
      scratch: scratch.address,
      scratchStride: scratch.stride,
    };
    runCommands(
      heap,
      arena,
      team,
      { operation: 'attentionRows', tasks: Math.ceil(total / LANES), call: common },
      ...eachGroup(batch, together, (firstRow, count): Command[] => [
        ...forms.map(({ name, ...form }) => packCommand(options, { ...form, to: packed[name] }, firstRow, count)),
        {
          operation: 'attentionQueries',
          tasks: count * kvHeads * Math.ceil(rows / LANES),
          call: { ...common, firstRow },
        },
        { operation: 'attentionKeys', tasks: count * kvHeads * Math.ceil(keys / LANES), call: { ...common, firstRow } },
      ]),
    );
    return gradients;
  });
}

type PackedForm = 'keyTiles' | 'valueTiles' | 'keyChannels' | 'queryTiles' | 'queryChannels' | 'dyTiles' | 'dyChannels';

/** As `queryFactor` of assembly/kernels/attention/scores.ts. */
function queryFactor(scale: number, softcap: number): number {
  return softcap === 0 ? scale * Math.LOG2E : scale / softcap;
}
