/**
 * A program is a list of commands in memory, 256 bytes each: a header, and from byte 64 on the call of a kernel. Each
 * command is cut into tasks that may run in any order and side by side. A command begins when the one before it is
 * complete.
 */
import { AdamwCall, adamw } from '../kernels/adamw';
import { AttentionBackwardCall, attentionKeys, attentionQueries, attentionRows } from '../kernels/attention/backward';
import { AttentionCall } from '../kernels/attention/call';
import { attentionCombine, attentionFew } from '../kernels/attention/few';
import { attentionTiles } from '../kernels/attention/forward';
import { AttentionPackCall, packHeads } from '../kernels/attention/pack';
import { AttentionPlaceCall, attentionPlace } from '../kernels/attention/place';
import { ConvCall, convolution } from '../kernels/causal-conv1d';
import { ConvBackwardCall, convolutionBackward } from '../kernels/causal-conv1d-backward';
import { argmax } from '../kernels/argmax';
import { ColumnSumCall, columnSum } from '../kernels/column-sum';
import {
  CrossEntropyBackwardCall, CrossEntropyCall, crossEntropy, crossEntropyBackward,
} from '../kernels/cross-entropy';
import { embedding } from '../kernels/embedding';
import { EmbeddingBackwardCall, embeddingBackward } from '../kernels/embedding-backward';
import {
  GatedRmsNormBackwardCall, GatedRmsNormCall, gatedRmsNorm, gatedRmsNormBackward,
} from '../kernels/gated-rms-norm';
import { RootCall, root, SquaresCall, squares } from '../kernels/gradient-norm';
import { LayerNormCall, layerNorm } from '../kernels/layer-norm';
import { linear } from '../kernels/linear';
import { LinearCall } from '../kernels/linear-call';
import { LinearColumnsCall, linearColumns } from '../kernels/linear-columns';
import { pack } from '../kernels/linear-pack';
import { MultiplyCall, multiply } from '../kernels/multiply';
import { MultiplyBackwardCall, multiplyBackward } from '../kernels/multiply-backward';
import { NormBackwardCall, normBackward } from '../kernels/norm-backward';
import { rmsNorm } from '../kernels/rms-norm';
import { RopeCall, rope } from '../kernels/rope';
import { ScanCall } from '../kernels/selective-scan/call';
import { scan } from '../kernels/selective-scan/scan';
import { ScanBackwardCall } from '../kernels/selective-scan-backward/call';
import { scanBackward } from '../kernels/selective-scan-backward/scan-backward';
import { S4dCall, s4dScan } from '../kernels/s4d/scan';
import { S4dBackwardCall, s4dScanBackward } from '../kernels/s4d/scan-backward';
import { S4dSystemBackwardCall, S4dSystemCall, s4dSystem, s4dSystemBackward } from '../kernels/s4d/system';
import { SsdScanCall } from '../kernels/ssd-scan/call';
import { ssdScan } from '../kernels/ssd-scan/scan';
import { SsdScanBackwardCall } from '../kernels/ssd-scan-backward/call';
import { ssdScanBackward } from '../kernels/ssd-scan-backward/scan-backward';
import { SumCall, sumParts } from '../kernels/sum';
import { Layout } from '../kernels/weights';

/** Bytes of a command. */
export const COMMAND_BYTES: usize = 256; // host
/** The place of a command's call, in bytes. */
export const CALL: usize = 64; // host

/** The operation of a command. */
export const enum Operation {
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
  SCAN_BACKWARD,
  CONVOLUTION_BACKWARD,
  SUM,
  COLUMN_SUM,
  NORM_BACKWARD,
  EMBEDDING_BACKWARD,
  MULTIPLY_BACKWARD,
  CROSS_ENTROPY,
  CROSS_ENTROPY_BACKWARD,
  SQUARES,
  ROOT,
  ADAMW,
  LINEAR_COLUMNS,
  S4D_SYSTEM,
  S4D,
  S4D_BACKWARD,
  S4D_SYSTEM_BACKWARD,
  SSD_SCAN,
  SSD_SCAN_BACKWARD,
  GATED_RMS_NORM,
  GATED_RMS_NORM_BACKWARD,
  ATTENTION_PACK,
  ATTENTION_TILES,
  ATTENTION_FEW,
  ATTENTION_COMBINE,
  ATTENTION_ROWS,
  ATTENTION_QUERIES,
  ATTENTION_KEYS,
  ROPE,
  ATTENTION_PLACE,
}

/** The place of a command's queues, in bytes. Each counts how many of its tasks are taken. */
export const NEXT: usize = 32;
/** Queues of a command; more threads than that share them. */
export const QUEUES = 8;

/**
 * The start of a command. While the command runs, all threads write to `done` and to the queues, and to nothing else of
 * it.
 */
@unmanaged
export class CommandHeader {
  /** Tasks that are complete. */
  done: i32;
  operation: Operation;
  /** Parts that may run side by side; neighbours share what they read, where any do. */
  tasks: i32;
}

/** Gathers rows of a table by ids. */
@unmanaged
class EmbeddingCall {
  table: usize;
  layout: Layout;
  ids: usize;
  y: usize;
  count: i32;
  channels: i32;
  /** Ids of a task. */
  taskRows: i32;
}

/** Normalises dt, B and C in rows of `[dtRank + 2 state]` in place, by RMS norms (Falcon-Mamba, Jamba). */
@unmanaged
class MixerNormCall {
  projected: usize;
  /** Address of the weight of dt's norm; 0 means none. */
  dtWeight: usize;
  /** Address of the weight of B's norm; 0 means none. */
  BWeight: usize;
  /** Address of the weight of C's norm; 0 means none. */
  CWeight: usize;
  rows: i32;
  dtRank: i32;
  /** States of a channel. */
  state: i32;
  eps: f32;
  /** Rows of a task. */
  taskRows: i32;
}

/** Copies bytes within the memory. */
@unmanaged
class CopyCall {
  from: usize;
  to: usize;
  bytes: usize;
}

/** Finds the index of the largest logit; a task is a row. */
@unmanaged
class ArgmaxCall {
  logits: usize;
  ids: usize;
  vocab: i32;
}

/** Runs a task of a command; `first` is true where it is the thread's first task of this command. */
export function execute(command: usize, task: i32, thread: i32, first: bool): void {
  const call = command + CALL;
  switch (changetype<CommandHeader>(command).operation) {
    case Operation.LINEAR:
      linear(changetype<LinearCall>(call), task, thread, first);
      break;
    case Operation.PACK:
      pack(changetype<LinearCall>(call), task, thread);
      break;
    case Operation.CONVOLUTION:
      convolution(changetype<ConvCall>(call), task, thread);
      break;
    case Operation.SCAN:
      scan(changetype<ScanCall>(call), task, thread);
      break;
    case Operation.EMBEDDING: {
      const gather = changetype<EmbeddingCall>(call);
      const start = task * gather.taskRows;
      embedding(
        gather.table, gather.layout, gather.ids + (<usize>start << 2),
        gather.y + ((<usize>start * <usize>gather.channels) << 2),
        min(gather.taskRows, gather.count - start), gather.channels,
      );
      break;
    }
    case Operation.MIXER_NORM:
      mixerNorm(changetype<MixerNormCall>(call), task);
      break;
    case Operation.COPY: {
      const copy = changetype<CopyCall>(call);
      memory.copy(copy.to, copy.from, copy.bytes);
      break;
    }
    case Operation.ARGMAX: {
      const choice = changetype<ArgmaxCall>(call);
      argmax(
        choice.logits + ((<usize>task * <usize>choice.vocab) << 2),
        choice.ids + (<usize>task << 2),
        1,
        choice.vocab,
      );
      break;
    }
    case Operation.MULTIPLY:
      multiply(changetype<MultiplyCall>(call), task);
      break;
    case Operation.LAYER_NORM:
      layerNorm(changetype<LayerNormCall>(call), task);
      break;
    case Operation.SCAN_BACKWARD:
      scanBackward(changetype<ScanBackwardCall>(call), task, thread);
      break;
    case Operation.CONVOLUTION_BACKWARD:
      convolutionBackward(changetype<ConvBackwardCall>(call), task, thread);
      break;
    case Operation.SUM:
      sumParts(changetype<SumCall>(call), task);
      break;
    case Operation.COLUMN_SUM:
      columnSum(changetype<ColumnSumCall>(call), task);
      break;
    case Operation.NORM_BACKWARD:
      normBackward(changetype<NormBackwardCall>(call), task);
      break;
    case Operation.EMBEDDING_BACKWARD:
      embeddingBackward(changetype<EmbeddingBackwardCall>(call), task);
      break;
    case Operation.MULTIPLY_BACKWARD:
      multiplyBackward(changetype<MultiplyBackwardCall>(call), task);
      break;
    case Operation.CROSS_ENTROPY:
      crossEntropy(changetype<CrossEntropyCall>(call), task);
      break;
    case Operation.CROSS_ENTROPY_BACKWARD:
      crossEntropyBackward(changetype<CrossEntropyBackwardCall>(call), task);
      break;
    case Operation.SQUARES:
      squares(changetype<SquaresCall>(call), task);
      break;
    case Operation.ROOT:
      root(changetype<RootCall>(call));
      break;
    case Operation.ADAMW:
      adamw(changetype<AdamwCall>(call), task);
      break;
    case Operation.SSD_SCAN:
      ssdScan(changetype<SsdScanCall>(call), task, thread);
      break;
    case Operation.SSD_SCAN_BACKWARD:
      ssdScanBackward(changetype<SsdScanBackwardCall>(call), task, thread);
      break;
    case Operation.GATED_RMS_NORM:
      gatedRmsNorm(changetype<GatedRmsNormCall>(call), task);
      break;
    case Operation.GATED_RMS_NORM_BACKWARD:
      gatedRmsNormBackward(changetype<GatedRmsNormBackwardCall>(call), task);
      break;
    case Operation.LINEAR_COLUMNS:
      linearColumns(changetype<LinearColumnsCall>(call), task, thread);
      break;
    case Operation.S4D_SYSTEM:
      s4dSystem(changetype<S4dSystemCall>(call), task, thread);
      break;
    case Operation.S4D:
      s4dScan(changetype<S4dCall>(call), task, thread);
      break;
    case Operation.S4D_BACKWARD:
      s4dScanBackward(changetype<S4dBackwardCall>(call), task, thread);
      break;
    case Operation.S4D_SYSTEM_BACKWARD:
      s4dSystemBackward(changetype<S4dSystemBackwardCall>(call), task, thread);
      break;
    case Operation.ATTENTION_PACK:
      packHeads(changetype<AttentionPackCall>(call), task);
      break;
    case Operation.ATTENTION_TILES:
      attentionTiles(changetype<AttentionCall>(call), task, thread);
      break;
    case Operation.ATTENTION_FEW:
      attentionFew(changetype<AttentionCall>(call), task, thread);
      break;
    case Operation.ATTENTION_COMBINE:
      attentionCombine(changetype<AttentionCall>(call), task);
      break;
    case Operation.ATTENTION_ROWS:
      attentionRows(changetype<AttentionBackwardCall>(call), task);
      break;
    case Operation.ATTENTION_QUERIES:
      attentionQueries(changetype<AttentionBackwardCall>(call), task, thread);
      break;
    case Operation.ATTENTION_KEYS:
      attentionKeys(changetype<AttentionBackwardCall>(call), task, thread);
      break;
    case Operation.ROPE:
      rope(changetype<RopeCall>(call), task, thread);
      break;
    case Operation.ATTENTION_PLACE:
      attentionPlace(changetype<AttentionPlaceCall>(call), task, thread);
      break;
  }
}

function mixerNorm(call: MixerNormCall, task: i32): void {
  const width = <usize>(call.dtRank + 2 * call.state) << 2;
  const end = min((task + 1) * call.taskRows, call.rows);
  for (let row = task * call.taskRows; row < end; row++) {
    const dt = call.projected + <usize>row * width;
    const B = dt + (<usize>call.dtRank << 2);
    const C = B + (<usize>call.state << 2);
    rmsNorm(dt, call.dtWeight, dt, 1, call.dtRank, call.eps);
    rmsNorm(B, call.BWeight, B, 1, call.state, call.eps);
    rmsNorm(C, call.CWeight, C, 1, call.state, call.eps);
  }
}
