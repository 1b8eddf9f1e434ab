/**
 * A comparison in a link: numbers of four digits, a point as a short list, deflated, in the letters of base64url. What
 * can be computed from the rest is left out. Nothing but the link is needed to show it again.
 */
import { MambaError } from '@mamba/core';
import { checkFile } from '../schema/report.ts';
import { MEASURES, type VersusPoint, type VersusReport, versusSchema } from '../schema/versus.ts';
import { crossingsOf } from './crossings.ts';

/** What a link's fragment begins with: the version of this form. */
const PREFIX = 'v1.';
const STATUSES = ['measured', 'refused', 'stopped', 'unsupported', 'failed'] as const;
/** A damaged or hostile link may unpack to any size. */
const MOST_BYTES = 2 ** 23;

export async function encodeLink(report: VersusReport): Promise<string> {
  const { points, crossings: _, ...rest } = report;
  const systems = report.systems.map(({ name }) => name);
  const backends = report.backends.map(({ name }) => name);
  const packed = points.map((point) => pack(point, systems, backends));
  const text = JSON.stringify({ ...rest, points: packed }, (_key, value: unknown) => rounded(value));
  return PREFIX + toBase64(await pipe(new TextEncoder().encode(text), new CompressionStream('deflate-raw')));
}

/** @throws MambaError `invalid-file` where the fragment is no comparison, or was cut off on its way. */
export async function decodeLink(fragment: string): Promise<VersusReport> {
  const origin = 'the link';
  if (!fragment.startsWith(PREFIX))
    throw new MambaError('invalid-file', `${origin} holds no comparison that this page reads`, {
      origin,
      given: JSON.stringify(fragment.slice(0, 12)),
      expected: `a fragment that begins with ${PREFIX}`,
    });
  let value: {
    points: unknown;
    systems: { name: string }[];
    backends: { name: string }[];
    settings: { batch: number };
  };
  try {
    const bytes = await pipe(
      fromBase64(fragment.slice(PREFIX.length)),
      new DecompressionStream('deflate-raw'),
      MOST_BYTES,
    );
    value = JSON.parse(new TextDecoder().decode(bytes));
    const names = { systems: value.systems.map(({ name }) => name), backends: value.backends.map(({ name }) => name) };
    value.points = (value.points as Packed[]).map((packed) => unpack(packed, names, value.settings.batch));
  } catch (cause) {
    throw new MambaError('invalid-file', `${origin} is damaged, or a part of it is missing`, {
      origin,
      remedy: 'Copy the whole link again, or ask for the JSON.',
      cause,
    });
  }
  return checkFile(versusSchema, { ...value, crossings: crossingsOf(value.points as VersusPoint[]) }, origin);
}

/**
 * System, backend, measure and status by their indices, and the length; then time, memory, refusal, expected seconds
 * and reason, where there are such.
 */
type Packed = readonly [number, number, number, number, number, ...(readonly unknown[])];

function pack(point: VersusPoint, systems: readonly string[], backends: readonly string[]): unknown[] {
  const { time, memory, refused, expected, reason } = point;
  const packed: unknown[] = [
    systems.indexOf(point.system),
    backends.indexOf(point.backend),
    MEASURES.indexOf(point.measure),
    STATUSES.indexOf(point.status),
    point.length,
    time && [
      time.median,
      time.p10,
      time.p90,
      time.n,
      time.callsPerSample,
      ...(time.first === undefined ? [] : [time.first]),
    ],
    memory && [memory.peak, ...(memory.state === undefined ? [] : [memory.state])],
    refused && [refused.bytes, refused.limit],
    expected,
    reason,
  ].map((value) => value ?? 0);
  while (packed.at(-1) === 0) packed.pop();
  return packed;
}

function unpack(
  [system, backend, measure, status, length, ...rest]: Packed,
  names: { readonly systems: readonly string[]; readonly backends: readonly string[] },
  batch: number,
): VersusPoint {
  const [time, memory, refused, expected, reason] = rest as [number[]?, number[]?, number[]?, number?, string?];
  const tokens = MEASURES[measure] === 'step' ? 1 : length;
  const [median, p10, p90, n, callsPerSample, first] = time || [];
  return {
    system: names.systems[system]!,
    backend: names.backends[backend]!,
    measure: MEASURES[measure]!,
    length,
    status: STATUSES[status]!,
    ...(median !== undefined && {
      time: {
        ...{ median, p10: p10!, p90: p90!, n: n!, callsPerSample: callsPerSample! },
        ...(first !== undefined && { first }),
      },
      perSecond: (batch * tokens) / median,
    }),
    ...(memory && { memory: { peak: memory[0]!, ...(memory[1] !== undefined && { state: memory[1] }) } }),
    ...(refused && { refused: { bytes: refused[0]!, limit: refused[1]! } }),
    ...(expected && { expected }),
    ...(reason && { reason }),
  };
}

/** Fractions with four digits; whole numbers, such as bytes and lengths, as they are. */
function rounded(value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value;
}

async function pipe(
  bytes: Uint8Array<ArrayBuffer>,
  stream: ReadableWritablePair<Uint8Array<ArrayBuffer>, BufferSource>,
  most = Number.POSITIVE_INFINITY,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const part of readAll(new Blob([bytes]).stream().pipeThrough(stream))) {
    size += part.length;
    if (size > most) throw new RangeError(`more than ${most} bytes`);
    parts.push(part);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Streams are iterable in Node, and not in every browser. */
async function* readAll(stream: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const reader = stream.getReader();
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) yield next.value;
  } finally {
    await reader.cancel();
  }
}

function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const decoded = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}
