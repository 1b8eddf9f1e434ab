/**
 * A program is a list of commands in memory, 256 bytes each: a header, and from byte 64 on the call of a kernel. Each command is cut into
 * `chunks` that may run in any order and side by side; a command begins when the one before it is complete.
 */
import { ConvCall, convolution } from '../kernels/causal-conv1d';
import { argmax } from '../kernels/argmax';
import { embedding } from '../kernels/embedding';
import { LayerNormCall, layerNorm } from '../kernels/layer-norm';
import { linear } from '../kernels/linear';
import { LinearCall } from '../kernels/linear-call';
import { pack } from '../kernels/linear-pack';
import { MultiplyCall, multiply } from '../kernels/multiply';
import { rmsNorm } from '../kernels/rms-norm';
import { ScanCall, scan } from '../kernels/selective-scan';

export const COMMAND_BYTES: usize = 256;
const CALL: usize = 64;

/** As `operations` in src/program/command.ts. */
const enum Operation {
  LINEAR,
  CONVOLUTION,
  SCAN,
  EMBEDDING,
  MIXER_NORM,
  COPY,
  ARGMAX,
  PACK,
  MULTIPLY,
  LAYER_NORM,
}

/** Where the queues are in a command: of each, how many of its chunks are taken. Threads beyond so many share them. */
export const NEXT: usize = 32;
export const QUEUES = 8;

/** `done` and the queues are written by all threads while a command runs, the others by none. */
@unmanaged
export class Command {
  /** Chunks that are complete. */
  done: i32;
  operation: i32;
  chunks: i32;
}

@unmanaged
class EmbeddingCall {
  table: usize;
  layout: i32;
  ids: usize;
  y: usize;
  count: i32;
  channels: i32;
  /** Ids of a chunk. */
  block: i32;
}

/** Falcon-Mamba's norms without weights, in place: of dt, B and C in rows of `[dtRank + 2 states]`. */
@unmanaged
class MixerNormCall {
  projected: usize;
  rows: i32;
  dtRank: i32;
  states: i32;
  eps: f32;
  /** Rows of a chunk. */
  block: i32;
}

@unmanaged
class CopyCall {
  from: usize;
  to: usize;
  bytes: usize;
}

@unmanaged
class ArgmaxCall {
  logits: usize;
  ids: usize;
  vocab: i32;
}

/** One chunk; `first` where it is the thread's first of this command. */
export function execute(command: usize, chunk: i32, thread: i32, first: bool): void {
  const call = command + CALL;
  switch (changetype<Command>(command).operation) {
    case Operation.LINEAR:
      linear(changetype<LinearCall>(call), chunk, thread, first);
      break;
    case Operation.PACK:
      pack(changetype<LinearCall>(call), chunk, thread);
      break;
    case Operation.CONVOLUTION:
      convolution(changetype<ConvCall>(call), chunk, thread);
      break;
    case Operation.SCAN:
      scan(changetype<ScanCall>(call), chunk, thread);
      break;
    case Operation.EMBEDDING: {
      const gather = changetype<EmbeddingCall>(call);
      const start = chunk * gather.block;
      embedding(
        gather.table, gather.layout, gather.ids + (<usize>start << 2),
        gather.y + ((<usize>start * <usize>gather.channels) << 2),
        min(gather.block, gather.count - start), gather.channels,
      );
      break;
    }
    case Operation.MIXER_NORM:
      mixerNorm(changetype<MixerNormCall>(call), chunk);
      break;
    case Operation.COPY: {
      const piece = changetype<CopyCall>(call);
      memory.copy(piece.to, piece.from, piece.bytes);
      break;
    }
    case Operation.ARGMAX: {
      const choice = changetype<ArgmaxCall>(call);
      argmax(choice.logits + ((<usize>chunk * <usize>choice.vocab) << 2), choice.ids + (<usize>chunk << 2), 1, choice.vocab);
      break;
    }
    case Operation.MULTIPLY:
      multiply(changetype<MultiplyCall>(call), chunk);
      break;
    case Operation.LAYER_NORM:
      layerNorm(changetype<LayerNormCall>(call), chunk);
      break;
  }
}

function mixerNorm(call: MixerNormCall, chunk: i32): void {
  const width = <usize>(call.dtRank + 2 * call.states) << 2;
  const end = min((chunk + 1) * call.block, call.rows);
  for (let row = chunk * call.block; row < end; row++) {
    const dt = call.projected + <usize>row * width;
    const B = dt + (<usize>call.dtRank << 2);
    const C = B + (<usize>call.states << 2);
    rmsNorm(dt, 0, dt, 1, call.dtRank, call.eps);
    rmsNorm(B, 0, B, 1, call.states, call.eps);
    rmsNorm(C, 0, C, 1, call.states, call.eps);
  }
}
