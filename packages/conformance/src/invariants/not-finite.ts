/** NaN never becomes a token: a checked choice marks it with -1, and so does every form of decode. */
import { createModel, type HostTensor, modelParameters, type ParameterSource } from '@mamba/core';
import { floats } from '../cases/host.ts';
import { seededWeights } from '../cases/weights.ts';
import { Random } from '../random.ts';
import type { Check } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { SMALL_MODEL } from '../suite/shapes.ts';
import { type Arena, withArena } from './arena.ts';
import { invariant } from './invariant.ts';

export function notFiniteLaws(): readonly Check[] {
  const law = (name: string, body: (findings: Findings, arena: Arena) => Promise<void>): Check =>
    invariant(`not-finite/${name}`, (findings, { backend }) => withArena(backend, (arena) => body(findings, arena)));
  return [
    law('a-marked-id-embeds-as-nan', embedsAsNaN),
    law('a-parameter-reads-back', readsBack),
    ...[false, true].flatMap((composed) =>
      [false, true].map((sampled) =>
        law(`decode-marks-its-row${composed ? '-composed' : ''}${sampled ? '-sampled' : ''}`, (findings, arena) =>
          decodeMarks(findings, arena, composed, sampled),
        ),
      ),
    ),
  ];
}

async function embedsAsNaN(findings: Findings, arena: Arena): Promise<void> {
  const { backend } = arena;
  const logits = arena.upload(floats([3, 2], (index) => [0, 1, 0, Number.NaN, 1, 0][index]!));
  const ids = arena.own(backend.argmax(logits, { checked: true }));
  findings.identical('ids', await arena.read(ids), [1, -1, 0]);
  const channels = 5;
  for (const dtype of [backend.precision, 'float16'] as const) {
    const host = floats([2, channels], (index) => index);
    if (!backend.supportsUpload(host, { dtype, role: 'matrix' }).supported) continue;
    const table = arena.own(backend.upload(host, { dtype, role: 'matrix' }));
    const rows = await arena.read(arena.own(backend.embedding(table, ids)));
    const expected = [5, 6, 7, 8, 9, ...new Array(channels).fill(Number.NaN), 0, 1, 2, 3, 4];
    findings.identical(`rows of ${dtype}`, rows, expected);
  }
}

/** `readParameter` returns the values that were loaded, so that an error can name those that are not finite. */
async function readsBack(findings: Findings, arena: Arena): Promise<void> {
  const source = seededWeights(SMALL_MODEL, 7);
  const model = arena.own(await createModel(arena.backend, SMALL_MODEL, source));
  for (const parameter of modelParameters(SMALL_MODEL)) {
    const { data } = await source(parameter);
    // The backend rounds values of float64 to its precision.
    findings.close(parameter.name, await model.readParameter(parameter.name), data, 1e-7);
  }
}

/** Decode marks the row that is fed an embedding of NaN, and no other row. */
async function decodeMarks(findings: Findings, arena: Arena, composed: boolean, sampled: boolean): Promise<void> {
  const count = 4;
  const random = new Random(91);
  const options = sampled
    ? { uniform: arena.upload(floats([3, count], () => random.uniform())), temperature: 0.8, topK: 9, topP: 0.9 }
    : {};
  const source = seededWeights(SMALL_MODEL, 7);
  const decode = async (weights: ParameterSource, bad: number): Promise<ArrayLike<number>> => {
    const model = arena.own(await createModel(arena.backend, SMALL_MODEL, weights, { composed }));
    const { ids, state } = model.decode([[4], [bad], [6]], undefined, { count, ...options });
    arena.own(state);
    return arena.read(arena.own(ids));
  };
  const clean = Array.from(await decode(source, 5));
  const bad = Array.from({ length: SMALL_MODEL.vocabSize }, (_, id) => id).find(
    (id) => id !== 4 && id !== 6 && !clean.includes(id),
  )!;
  const broken = await decode(async (parameter) => {
    const host = await source(parameter);
    if (parameter.key === 'embedding') host.data[bad * SMALL_MODEL.dModel] = Number.NaN;
    return host as HostTensor;
  }, bad);
  findings.identical('the row', Array.from(broken).slice(count, 2 * count), new Array(count).fill(-1));
  findings.identical('those before', Array.from(broken).slice(0, count), clean.slice(0, count));
  findings.identical('those behind', Array.from(broken).slice(2 * count), clean.slice(2 * count));
}
