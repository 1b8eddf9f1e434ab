import type { Allocation } from '../memory/allocator.ts';
import { argmax, decides } from './argmax.ts';
import { addressOf, type Call, type Context, ELEMENT } from './context.ts';

/**
 * Draws a token for each row of logits. Softmax runs in WebAssembly, and the choice among its weights runs here, over a
 * view of them. Where the largest logit is infinite, or all are NaN, there is no softmax and argmax is taken; a NaN
 * among others has probability 0.
 */
export function sample(context: Context, call: Call<'sample'>): Allocation {
  const { logits, uniform, rows, vocab, temperature } = call;
  if (temperature === 0) return argmax(context, call);
  const { heap } = context;
  return heap.run((arena) => {
    const ids = arena.result(rows * ELEMENT);
    const scratch = arena.scratch(vocab * ELEMENT);
    const numbers = heap.floats(uniform.storage, rows);
    const chosen = Array.from(numbers, (number, row) => {
      const address = addressOf(logits) + row * vocab * ELEMENT;
      if (call.checked === true && !decides(context.wasm, address, vocab)) return -1;
      return draw(context, address, number, scratch, call);
    });
    heap.integers(ids, rows).set(chosen);
    return ids;
  });
}

export interface Filter {
  readonly vocab: number;
  /** The temperature, above 0. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
}

/** Draws a token from the row of logits at `address`, with scratch for `vocab` floats. */
export function draw(
  { heap, wasm }: Context,
  address: number,
  uniform: number,
  scratch: Allocation,
  filter: Filter,
): number {
  const { vocab, temperature } = filter;
  // A temperature that float32 rounds to 0 would divide 0 by 0.
  const largest = wasm.softmax(address, scratch.address, vocab, Math.max(temperature, 2 ** -126));
  if (!Number.isFinite(largest)) {
    wasm.argmax(address, scratch.address, 1, vocab);
    return heap.integers(scratch, 1)[0]!;
  }
  return choose(heap.floats(scratch, vocab), uniform, filter);
}

/** Draws an index. The filter keeps tokens in order of likelihood; the draw goes in order of their indices. */
function choose(weights: Float32Array, uniform: number, { vocab, topK, topP, minP }: Filter): number {
  const kept = topK < vocab || topP < 1 || minP > 0 ? keep(weights, topK, topP, minP) : ALL;
  let total = 0;
  visit(weights, kept, (weight) => {
    total += weight;
    return false;
  });
  const wanted = uniform * total;
  let sum = 0;
  let chosen = 0;
  visit(weights, kept, (weight, index) => {
    sum += weight;
    chosen = index;
    return sum > wanted;
  });
  return chosen;
}

/** The weights that a filter keeps: all above `threshold`, and the first `ties` that equal it. */
interface Kept {
  readonly threshold: number;
  readonly ties: number;
}

const ALL: Kept = { threshold: Number.NEGATIVE_INFINITY, ties: 0 };

function keep(weights: Float32Array, topK: number, topP: number, minP: number): Kept {
  const descending = weights.slice().sort().reverse();
  let count = Math.min(topK, descending.length);
  let total = 0;
  for (let index = 0; index < count; index++) total += descending[index]!;
  let sum = 0;
  for (let index = 0; index < count && topP < 1; index++) {
    sum += descending[index]!;
    if (sum >= topP * total) count = index + 1;
  }
  const least = minP * descending[0]!;
  while (count > 1 && descending[count - 1]! < least) count--;
  const threshold = descending[count - 1]!;
  const above = descending.indexOf(threshold);
  return { threshold, ties: count - above };
}

/** Visits the kept weights in index order until `done` is true; it never visits a token of weight 0. */
function visit(weights: Float32Array, kept: Kept, done: (weight: number, index: number) => boolean): void {
  let ties = kept.ties;
  for (let index = 0; index < weights.length; index++) {
    const weight = weights[index]!;
    if (weight === 0 || weight < kept.threshold || (weight === kept.threshold && ties-- <= 0)) continue;
    if (done(weight, index)) return;
  }
}
