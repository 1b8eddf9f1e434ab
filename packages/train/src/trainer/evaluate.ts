import { invalid, MambaError, type Model, type ModelState } from '@mamba/core';
import { scoped, yieldToEventLoop } from '@mamba/core/toolkit';
import type { Batch } from '../model/loss.ts';

/** The loss on held-out data. */
export interface HeldOutLoss {
  /** Mean loss in nats. */
  readonly loss: number;
  /** Number of positions that it is the mean of. */
  readonly targets: number;
}

/** How held-out data is evaluated. */
export interface EvaluateOptions {
  /** The largest number of logits that are in memory at a time. Default 2^25. */
  readonly logits?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const LOGITS = 2 ** 25;

/**
 * The mean loss of batches, each from a zero state, by a model with its fused forms. Batches run in pieces along their
 * length, so that the logits of all positions are never in memory together.
 * @throws MambaError `invalid-argument` where no batch has a target, `aborted`, and any error of the backend.
 */
export async function evaluateLoss(
  model: Model,
  batches: AsyncIterable<Batch>,
  { logits = LOGITS, signal }: EvaluateOptions = {},
): Promise<HeldOutLoss> {
  let [sum, targets] = [0, 0];
  for await (const batch of batches) {
    const steps = Math.max(1, Math.floor(logits / (batch.batch * model.config.vocabSize)));
    let state: ModelState | undefined;
    try {
      for (let start = 0; start < batch.length; start += steps) {
        await yieldToEventLoop();
        if (signal?.aborted) throw new MambaError('aborted', 'the evaluation was aborted', { origin: 'evaluateLoss' });
        const piece = pieceOf(batch, start, Math.min(start + steps, batch.length));
        const result = lossesOf(model, piece, state);
        state = result.state;
        try {
          for (const loss of await model.backend.read(result.losses)) sum += loss;
        } finally {
          result.losses.dispose();
        }
        targets += piece.targets.reduce((count, target) => (target < 0 ? count : count + 1), 0);
      }
    } finally {
      state?.dispose();
    }
  }
  if (targets === 0) throw invalid('evaluateLoss.batches', 'no target', 'at least one that is not below 0');
  return { loss: sum / targets, targets };
}

/** The losses of a piece, and the state after it. The state before it is donated. */
function lossesOf(model: Model, { batch, length, ids, targets, resets }: Batch, state: ModelState | undefined) {
  const { backend } = model;
  const shape = [batch, length];
  return scoped((scope) => {
    const upload = (data: Int32Array) => scope.own(backend.upload({ dtype: 'int32', shape, data }));
    const result = model.forward(upload(ids), {
      ...{ state, donateState: state !== undefined, logits: 'all', chunk: length },
      ...(resets && { resets: upload(resets) }),
    });
    scope.own(result.state);
    const losses = backend.crossEntropy(scope.own(result.logits!), upload(targets));
    scope.release(result.state);
    return { losses, state: result.state };
  });
}

/** The positions `[start, end)` of every row. */
function pieceOf({ batch, length, ids, targets, resets }: Batch, start: number, end: number): Batch {
  const cut = (values: Int32Array): Int32Array => {
    const rows = new Int32Array(batch * (end - start));
    for (let row = 0; row < batch; row++)
      rows.set(values.subarray(row * length + start, row * length + end), row * (end - start));
    return rows;
  };
  return { batch, length: end - start, ids: cut(ids), targets: cut(targets), resets: resets && cut(resets) };
}
