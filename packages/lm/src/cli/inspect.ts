import { type ModelConfig, sizeOf } from '@mamba/core';
import { stateBytes, stateGrows } from '@mamba/core/toolkit';
import { checkpointTokenizer } from '../tokenizer/tokenizer.ts';
import { withCheckpoint } from './location.ts';
import { table } from './table.ts';
import { print, widthOf } from './terminal.ts';

export interface InspectFlags {
  readonly tensors?: boolean;
  readonly json?: boolean;
}

/** Describes a checkpoint of any size quickly: only headers are read. */
export function inspect(location: string, flags: InspectFlags, signal: AbortSignal): Promise<void> {
  return withCheckpoint(location, signal, async (checkpoint) => {
    const { config, tensors, gguf, specialTokens } = checkpoint;
    const tokenizer = await checkpointTokenizer(checkpoint);
    const listed = [...tensors.tensors].map(([name, { dtype, shape, begin, end }]) => ({
      ...{ name, dtype, shape, elements: sizeOf(shape), bytes: end - begin },
    }));
    const dtypes = new Map<string, { tensors: number; elements: number; bytes: number }>();
    for (const { dtype, elements, bytes } of listed) {
      const sum = dtypes.get(dtype) ?? { tensors: 0, elements: 0, bytes: 0 };
      dtypes.set(dtype, {
        tensors: sum.tensors + 1,
        elements: sum.elements + elements,
        bytes: sum.bytes + bytes,
      });
    }
    const facts = {
      name: checkpoint.name,
      format: gguf === undefined ? checkpoint.format : `GGUF ${gguf.version}`,
      parameters: listed.reduce((sum, { elements }) => sum + elements, 0),
      bytes: listed.reduce((sum, { bytes }) => sum + bytes, 0),
      layers: config.blocks.length,
      // The state of a sequence in float32, before its first token.
      stateBytes: stateBytes(config, 0),
    };
    const vocabulary = tokenizer && {
      specialTokens: Object.fromEntries(tokenizer.specialTokens),
      bos: specialTokens.bos ?? null,
      eos: specialTokens.eos,
      chatTemplate: tokenizer.chatTemplate !== undefined,
    };
    if (flags.json) {
      const all = { ...facts, config, dtypes: Object.fromEntries(dtypes), tokenizer: vocabulary ?? null };
      return print(`${JSON.stringify({ ...all, ...(flags.tensors && { tensors: listed }) }, null, 2)}\n`, signal);
    }
    const word = (id: number): string => `${id} ${JSON.stringify(tokenizer?.tokenOf(id) ?? '')}`;
    const summary = [
      ['checkpoint', facts.name],
      ['format', facts.format],
      ['parameters', `${facts.parameters.toLocaleString('en')} (${size(facts.bytes)})`],
      [
        'state',
        `${size(facts.stateBytes)} a sequence, in float32${stateGrows(config) ? ', and more a token' : ', at any length'}`,
      ],
      ...Object.entries(config).flatMap(([key, value]) => (key === 'blocks' ? [] : [[key, describe(value)]])),
      ...blockRuns(config),
      ['tokenizer', vocabulary === undefined ? 'none' : specialWords(Object.keys(vocabulary.specialTokens).length)],
      ['bos', specialTokens.bos === undefined ? 'none' : word(specialTokens.bos)],
      ['eos', specialTokens.eos.length === 0 ? 'none' : specialTokens.eos.map(word).join(', ')],
      ['chat template', vocabulary?.chatTemplate ? 'yes' : 'no'],
    ];
    const width = widthOf(process.stdout);
    const types = [...dtypes].map(([dtype, sum]) => [
      dtype,
      String(sum.tensors),
      sum.elements.toLocaleString('en'),
      size(sum.bytes),
    ]);
    const typeTable = table(['dtype', 'tensors', 'parameters', 'size'], types, { right: [1, 2, 3], width });
    await print(`${table([], summary, { width })}\n\n${typeTable}\n`, signal);
    if (!flags.tensors) return;
    const rows = listed.map(({ name, dtype, shape, bytes }) => [name, dtype, shape.join(' × '), size(bytes)]);
    await print(`\n${table(['tensor', 'dtype', 'shape', 'size'], rows, { right: [3], width })}\n`, signal);
  });
}

function specialWords(count: number): string {
  return `${count} special ${count === 1 ? 'token' : 'tokens'}`;
}

/** A row for neighbouring layers that are alike: `layers 0 to 5`, and their block: `mlp: dHidden 384, …`. */
function blockRuns({ blocks }: ModelConfig): [string, string][] {
  const runs: { readonly first: number; last: number; readonly text: string }[] = [];
  for (const [layer, { kind, ...sizes }] of blocks.entries()) {
    const options = Object.entries(sizes).map(([key, value]) => `${key} ${describe(value)}`);
    const text = `${kind}: ${options.join(', ')}`;
    const run = runs.at(-1);
    if (run?.text === text) run.last = layer;
    else runs.push({ first: layer, last: layer, text });
  }
  return runs.map(({ first, last, text }) => [first === last ? `layer ${first}` : `layers ${first} to ${last}`, text]);
}

function describe(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A number of bytes in words, in decimal units as on the pages: `1.5 MB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  for (; value >= 999.5 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : Number(value.toPrecision(3))} ${units[unit]}`;
}
