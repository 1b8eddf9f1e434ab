/**
 * Induction heads far beyond the training length (256): `node apps/bench/proofs/induction-heads.mjs [--backend cpu]
 * [--quick]`. 64 fresh sequences of 2^15 tokens, then one of 2^20 streamed; every answer named, and memory shown to be
 * constant in length. The model itself is exact up to 2^15 and drifts beyond (see the fixtures' README), so the last
 * answer is told, not asserted.
 */
import { parseArgs } from 'node:util';
import { loadModel } from '@mamba/lm';

const MARK = 15;
const { backend: name, quick } = parseArgs({
  options: { backend: { type: 'string', default: 'cpu' }, quick: { type: 'boolean', default: false } },
}).values;
const backend = await (await import(`@mamba/${name}`))[name]().create();
const fixture = new URL('../../../packages/conformance/fixtures/induction-heads', import.meta.url);
const lm = await loadModel(backend, fixture.href);
console.log(`${backend.name}: ${backend.description}`);

let wrong = 0;
wrong += await run(16, 2 ** 12, 64);
if (!quick) {
  wrong += await run(16, 2 ** 15, 64);
  await run(1, 2 ** 20, 1);
}
lm.dispose();
await backend.dispose();
if (wrong > 0) process.exitCode = 1;

/** Answers `count` sequences of `length` tokens, `batch` at a time. Returns the number of wrong answers. */
async function run(batch, length, count) {
  const random = generator(length);
  const begin = performance.now();
  let right = 0;
  let peak = 0;
  for (let done = 0; done < count; done += batch) {
    const rows = Array.from({ length: batch }, () => sequence(random, length));
    let state;
    let logits;
    const chunk = Math.max(64, Math.floor(4096 / batch));
    for (let start = 0; start < length; start += chunk) {
      const part = rows.map(({ ids }) => ids.subarray(start, start + chunk));
      const last = start + chunk >= length;
      const result = lm.model.forward(part, {
        state,
        donateState: state !== undefined,
        logits: last ? 'last' : 'none',
      });
      ({ state, logits } = result);
      peak = Math.max(peak, backend.memory().reserved);
    }
    const ids = backend.argmax(logits);
    const answers = await backend.read(ids);
    right += rows.filter(({ answer }, row) => answer === answers[row]).length;
    for (const owned of [ids, logits, state]) owned.dispose();
  }
  const seconds = (performance.now() - begin) / 1000;
  const speed = Math.round((count * length) / seconds);
  console.log(
    `2^${Math.log2(length)} tokens: ${right} of ${count} right, ${seconds.toFixed(1)} s (${speed} tokens/s), ` +
      `backend memory at most ${(peak / 2 ** 20).toFixed(1)} MiB, process ${(process.memoryUsage().rss / 2 ** 20).toFixed(0)} MiB`,
  );
  return count - right;
}

/**
 * Makes a sequence of random tokens 0 to 14, with the mark at p and again at the end. The answer follows the first
 * mark.
 */
function sequence(random, length) {
  const ids = Int32Array.from({ length }, () => Math.floor(random() * MARK));
  const position = Math.floor(random() * (length - 2));
  ids[position] = MARK;
  ids[length - 1] = MARK;
  return { ids, answer: ids[position + 1] };
}

/** The mulberry32 generator of random numbers. */
function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}
