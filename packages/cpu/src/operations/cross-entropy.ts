import type { Allocation } from '../memory/allocator.ts';
import { runCommands } from '../program/program.ts';
import { addressOf, type Call, type Context, ELEMENT, type Stored } from './context.ts';

export function crossEntropy(
  { heap, team }: Context,
  { logits, targets, labelSmoothing, rows, vocab }: Call<'crossEntropy'>,
): Allocation {
  return heap.run((arena) => {
    const y = arena.result(rows * ELEMENT);
    runCommands(heap, arena, team, {
      operation: 'crossEntropy',
      tasks: rows,
      call: {
        logits: addressOf(logits),
        targets: addressOf(targets),
        y: y.address,
        vocab,
        smoothing: labelSmoothing,
      },
    });
    return y;
  });
}

export function crossEntropyBackward(
  context: Context,
  { logits, targets, dy, labelSmoothing, rows, vocab }: Call<'crossEntropyBackward'>,
): Allocation {
  return gradient(context, { logits, targets, dy, rows, vocab, smoothing: labelSmoothing, sign: 1 });
}

/** A log-probability is the cross entropy without smoothing, but for its sign. */
export function logProbBackward(
  context: Context,
  { logits, ids, dy, rows, vocab }: Call<'logProbBackward'>,
): Allocation {
  return gradient(context, { logits, targets: ids, dy, rows, vocab, smoothing: 0, sign: -1 });
}

interface Gradient {
  readonly logits: Stored;
  readonly targets: Stored;
  readonly dy: Stored;
  readonly rows: number;
  readonly vocab: number;
  readonly smoothing: number;
  readonly sign: 1 | -1;
}

function gradient(
  { heap, team }: Context,
  { logits, targets, dy, rows, vocab, smoothing, sign }: Gradient,
): Allocation {
  return heap.run((arena) => {
    const dLogits = arena.result(rows * vocab * ELEMENT);
    runCommands(heap, arena, team, {
      operation: 'crossEntropyBackward',
      tasks: rows,
      call: {
        logits: addressOf(logits),
        targets: addressOf(targets),
        dy: addressOf(dy),
        dLogits: dLogits.address,
        vocab,
        smoothing,
        sign,
      },
    });
    return dLogits;
  });
}
