/**
 * The part of the protobuf wire format that an ONNX file needs. Messages are lists of pieces: weights are never copied.
 */

export type Message = readonly Uint8Array[];

/** Fields in the order given. */
export function message(...fields: readonly Message[]): Message {
  return fields.flat();
}

export function bytesOf(pieces: Message): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

/** An integer of any size below 2^53, negative ones not. */
export function integer(field: number, value: number): Message {
  return [Uint8Array.from([...varint(field * 8), ...varint(value)])];
}

export function float(field: number, value: number): Message {
  const bytes = new Uint8Array(5);
  bytes[0] = field * 8 + 5;
  new DataView(bytes.buffer).setFloat32(1, value, true);
  return [bytes];
}

export function text(field: number, value: string): Message {
  return nested(field, [new TextEncoder().encode(value)]);
}

/** A message, or bytes, inside another. */
export function nested(field: number, body: Message): Message {
  return [Uint8Array.from([...varint(field * 8 + 2), ...varint(bytesOf(body))]), ...body];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  while (value >= 128) {
    bytes.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  return [...bytes, value];
}
