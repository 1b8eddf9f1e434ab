import { seededWeights } from '@mamba/conformance';
import { modelConfig, parameterCount } from '@mamba/core';
import { expect, it } from 'vitest';
import { mambaOnnx } from './blocks/mamba.ts';
import { GraphBuilder, modelFile } from './graph.ts';
import { bytesOf, integer, type Message, nested, text } from './protobuf.ts';

interface Field {
  readonly field: number;
  readonly value: number | Uint8Array;
}

/** The wire format, read as its specification says. */
function parse(bytes: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++]!;
      value += (byte % 128) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    if (key % 8 === 0) {
      fields.push({ field: key >> 3, value: varint() });
    } else if (key % 8 === 2) {
      const length = varint();
      fields.push({ field: key >> 3, value: bytes.subarray(at, at + length) });
      at += length;
    } else if (key % 8 === 5) {
      fields.push({ field: key >> 3, value: bytes.subarray(at, at + 4) });
      at += 4;
    } else {
      throw new Error(`wire type ${key % 8}`);
    }
  }
  expect(at).toBe(bytes.length);
  return fields;
}

const joined = (pieces: Message): Uint8Array => Uint8Array.from(pieces.flatMap((piece) => [...piece]));
const children = (fields: readonly Field[], field: number): Field[][] =>
  fields.filter((own) => own.field === field).map(({ value }) => parse(value as Uint8Array));
const words = (fields: readonly Field[], field: number): string[] =>
  fields.filter((own) => own.field === field).map(({ value }) => new TextDecoder().decode(value as Uint8Array));

it('writes integers, text and messages as protobuf does', () => {
  // The examples of protobuf's own documentation of its encoding.
  expect(joined(integer(1, 150))).toEqual(Uint8Array.of(0x08, 0x96, 0x01));
  expect(joined(text(2, 'testing'))).toEqual(Uint8Array.of(0x12, 0x07, ...new TextEncoder().encode('testing')));
  expect(joined(nested(3, integer(1, 150)))).toEqual(Uint8Array.of(0x1a, 0x03, 0x08, 0x96, 0x01));
  expect(parse(joined(integer(9, 2 ** 40)))).toEqual([{ field: 9, value: 2 ** 40 }]);
});

it.each(['Scan', 'LinearAttention'] as const)(
  'gives every node of a %s inputs that exist before it, and every output a node',
  async (recurrence) => {
    const config = modelConfig({ layers: 2, dModel: 16, vocabSize: 40 });
    const pieces = await mambaOnnx(config, seededWeights(config, 1), recurrence);
    const [graph] = children(parse(joined(pieces)), 7);
    const known = new Set([
      ...children(graph!, 5).flatMap((one) => words(one, 8)),
      ...children(graph!, 11).flatMap((one) => words(one, 1)),
    ]);
    for (const node of children(graph!, 1)) {
      for (const input of words(node, 1)) expect(known, `${words(node, 4)} ← ${input}`).toContain(input);
      for (const output of words(node, 2)) {
        expect(known, output).not.toContain(output);
        known.add(output);
      }
    }
    const outputs = children(graph!, 12).flatMap((one) => words(one, 1));
    expect(outputs).toEqual(['logits', 'next.conv.0', 'next.ssm.0', 'next.conv.1', 'next.ssm.1']);
    for (const output of outputs) expect(known).toContain(output);
    expect(children(graph!, 1).filter((node) => words(node, 4)[0] === recurrence)).toHaveLength(config.blocks.length);
    // The file holds the weights once, since a tied head is the embedding itself.
    expect(bytesOf(pieces)).toBeLessThan(4 * parameterCount(config) + 20_000);
  },
);

it('counts the bytes of what it does not copy', () => {
  const graph = new GraphBuilder();
  const data = new Float32Array(1000);
  graph.floats([1000], data);
  const pieces = modelFile(graph.build({ name: 'g', inputs: [], outputs: [] }));
  expect(pieces.some((piece) => piece.buffer === data.buffer)).toBe(true);
  expect(bytesOf(pieces)).toBe(joined(pieces).length);
});
