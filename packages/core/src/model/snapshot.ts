import { SIZES_V1, type SnapshotSizesV1, slotsOfV1 } from '../blocks/mamba/snapshot-v1.ts';
import { slotShape } from '../blocks/state.ts';
import { MambaError } from '../contract/errors.ts';
import { type Shape, sameShape, sizeOf } from '../contract/tensor.ts';
import type { LayerSnapshot, ModelConfig } from './contract.ts';
import { modelSlots } from './slots.ts';

/**
 * The state of a model as plain data, from which any backend can continue. Its values are float64 where the reference
 * exported it.
 */
export interface StateSnapshot {
  readonly version: 2;
  /** Number of rows. */
  readonly batch: number;
  /** Number of tokens fed so far, for each row. */
  readonly positions: readonly number[];
  /** The kind and the slots of each layer. */
  readonly blocks: readonly SnapshotBlock[];
  /** The values of each layer, by slot: `[batch, …]` each. */
  readonly layers: readonly LayerSnapshot[];
  /** Identifies the model, for programs that keep snapshots of several models. */
  readonly fingerprint?: string | undefined;
  /**
   * Data of the application, as JSON can hold it. Core does not look at it; treat it as untrusted when a file is read.
   */
  readonly extra?: unknown;
}

/** The form of one layer in a snapshot, by which it is checked against a model. */
export interface SnapshotBlock {
  /** The kind of the block. */
  readonly kind: string;
  /** The shapes without the batch of those slots that hold something. */
  readonly slots: Readonly<Record<string, Shape>>;
}

/**
 * A snapshot by a release before block kinds, whose layers are Mamba blocks of equal sizes. It is read, never written.
 */
export interface StateSnapshotV1 extends Omit<StateSnapshot, 'version' | 'blocks'>, SnapshotSizesV1 {
  readonly version: 1;
}

/**
 * Encodes a snapshot as one portable file, little-endian: the magic `MAMBAST1`, the length of the header (u32), the
 * FNV-1a hash of all bytes from the header on (u32), the header in JSON, then the values of each layer's slots in the
 * header's order.
 * @throws MambaError `invalid-file` on a snapshot of an unknown version.
 */
export function encodeSnapshot(given: StateSnapshot | StateSnapshotV1): Uint8Array {
  const snapshot = toVersion2(given);
  const arrays = snapshot.layers.flatMap((layer, index) =>
    Object.keys(snapshot.blocks[index]!.slots).map((name) => layer[name]!),
  );
  const double = arrays.some((array) => array instanceof Float64Array);
  const width = double ? 8 : 4;
  const { layers: _, ...rest } = snapshot;
  const json = new TextEncoder().encode(JSON.stringify({ ...rest, dtype: double ? 'float64' : 'float32' }));
  let offset = PREFIX + json.length;
  const file = new Uint8Array(arrays.reduce((sum, { length }) => sum + length * width, offset));
  const view = new DataView(file.buffer);
  file.set(new TextEncoder().encode(MAGIC));
  view.setUint32(8, json.length, true);
  file.set(json, PREFIX);
  for (const array of arrays) {
    for (const value of array) {
      if (double) view.setFloat64(offset, value, true);
      else view.setFloat32(offset, value, true);
      offset += width;
    }
  }
  view.setUint32(12, checksum(file.subarray(PREFIX)), true);
  return file;
}

/**
 * Decodes a file of version 2 or 1. The result is always of version 2.
 * @throws MambaError `invalid-file` where the bytes are not a whole, undamaged snapshot of a version that this release
 * knows.
 */
export function decodeSnapshot(file: Uint8Array): StateSnapshot {
  const { dtype, data, ...header } = openSnapshot(file);
  const width = BYTES[dtype];
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let offset = 0;
  const take = (size: number): Float32Array | Float64Array => {
    const array = dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
    for (let index = 0; index < size; index++, offset += width)
      array[index] = dtype === 'float64' ? view.getFloat64(offset, true) : view.getFloat32(offset, true);
    return array;
  };
  const layers = header.blocks.map(({ slots }) =>
    Object.fromEntries(Object.entries(slots).map(([name, shape]) => [name, take(header.batch * sizeOf(shape))])),
  );
  return { ...header, layers };
}

/**
 * Reads what a file says of a state, and leaves its values where they are.
 * @throws MambaError `invalid-file` as `decodeSnapshot` does.
 */
export function decodeSnapshotHeader(file: Uint8Array): Omit<StateSnapshot, 'layers'> {
  const { dtype: _, data: __, ...header } = openSnapshot(file);
  return header;
}

/** The header of a file that is whole and undamaged, and the bytes of its values. */
function openSnapshot(file: Uint8Array): Header & { readonly data: Uint8Array } {
  if (file.length < PREFIX || new TextDecoder().decode(file.subarray(0, 8)) !== MAGIC)
    throw damaged(`${file.length} bytes that do not start with ${MAGIC}`, 'a state snapshot', NO_SNAPSHOT);
  const prefix = new DataView(file.buffer, file.byteOffset, PREFIX);
  const length = prefix.getUint32(8, true);
  if (length > MAX_HEADER || PREFIX + length > file.length)
    throw damaged(`a header of ${length} bytes in a file of ${file.length}`, 'a whole file', CHANGED);
  const sum = prefix.getUint32(12, true);
  if (checksum(file.subarray(PREFIX)) !== sum)
    throw damaged('bytes whose checksum differs', `checksum ${sum}`, CHANGED);
  const header = parseHeader(file.subarray(PREFIX, PREFIX + length));
  const data = file.subarray(PREFIX + length);
  const values = header.blocks.reduce(
    (total, { slots }) => Object.values(slots).reduce((size, shape) => size + header.batch * sizeOf(shape), total),
    0,
  );
  const expected = values * BYTES[header.dtype];
  if (data.length !== expected) throw damaged(`${data.length} bytes of state`, `${expected}`);
  return { ...header, data };
}

/**
 * Converts a snapshot to version 2 and checks that it has every value, in the shapes of this model.
 * @throws MambaError `invalid-file` where it does not.
 */
export function checkSnapshot(given: StateSnapshot | StateSnapshotV1, config: ModelConfig): StateSnapshot {
  const snapshot = toVersion2(given);
  if (!(Number.isSafeInteger(snapshot.batch) && snapshot.batch >= 1))
    throw damaged(`batch ${snapshot.batch}`, 'at least 1');
  checkPositions(snapshot.positions, snapshot.batch);
  const expected = snapshotBlocks(config, snapshot.positions);
  const layers = Array.isArray(snapshot.layers) ? snapshot.layers.length : 0;
  if (!Array.isArray(snapshot.blocks) || snapshot.blocks.length !== expected.length || layers !== expected.length)
    throw damaged(`${layers} layers`, `${expected.length}, this model's`, OTHER_MODEL);
  for (const [index, block] of expected.entries()) {
    checkBlock(`layer ${index}`, snapshot.blocks[index]!, block);
    checkValues(`layer ${index}`, snapshot.layers[index]!, block, snapshot.batch);
  }
  return snapshot;
}

/** The kinds and slots of a model's layers, for a state whose rows have been fed `positions` tokens. */
export function snapshotBlocks(config: ModelConfig, positions: readonly number[]): readonly SnapshotBlock[] {
  return modelSlots(config).map((slots, index) => ({
    kind: config.blocks[index]!.kind,
    slots: Object.fromEntries(
      slots.flatMap((slot) => {
        const shape = slotShape(slot, positions);
        return shape === undefined ? [] : [[slot.name, shape.slice(1)]];
      }),
    ),
  }));
}

/** The values of a state before any token. Slots of equal size share an array, which nothing writes to. */
export function zeroLayers(config: ModelConfig, positions: readonly number[]): readonly LayerSnapshot[] {
  const arrays = new Map<number, Float32Array>();
  const zeros = (size: number): Float32Array => {
    const array = arrays.get(size) ?? new Float32Array(size);
    arrays.set(size, array);
    return array;
  };
  return snapshotBlocks(config, positions).map(({ slots }) =>
    Object.fromEntries(Object.entries(slots).map(([name, shape]) => [name, zeros(positions.length * sizeOf(shape))])),
  );
}

const MAGIC = 'MAMBAST1';
const MAX_HEADER = 1 << 24;
/** Number of bytes before the header: magic, length of the header, checksum. */
const PREFIX = 16;

const OTHER_MODEL = 'It belongs to another model.';

const BYTES = { float32: 4, float64: 8 } as const;

type Header = Omit<StateSnapshot, 'layers'> & { readonly dtype: 'float32' | 'float64' };

function toVersion2(snapshot: StateSnapshot | StateSnapshotV1): StateSnapshot {
  if (snapshot?.version === 2) return snapshot;
  if (snapshot?.version !== 1) throw unknownVersion(snapshot);
  const count = Array.isArray(snapshot.layers) ? snapshot.layers.length : 0;
  return { ...withoutSizes(snapshot), version: 2, blocks: blocksOfV1(snapshot, count) };
}

function checkBlock(layer: string, given: SnapshotBlock, expected: SnapshotBlock): void {
  if (given?.kind !== expected.kind)
    throw damaged(`${layer} of kind ${String(given?.kind)}`, `${expected.kind}, this model's`, OTHER_MODEL);
  for (const name of new Set([...Object.keys(given.slots ?? {}), ...Object.keys(expected.slots)])) {
    const [ours, theirs] = [expected.slots[name], given.slots?.[name]];
    if (ours === undefined || theirs === undefined || !sameShape(ours, theirs))
      throw damaged(
        `${layer} with ${describeSlot(name, theirs)}`,
        `${describeSlot(name, ours)}, this model's`,
        OTHER_MODEL,
      );
  }
}

function checkValues(layer: string, values: LayerSnapshot, { slots }: SnapshotBlock, batch: number): void {
  for (const [name, shape] of Object.entries(slots)) {
    const array: unknown = values?.[name];
    if (!(array instanceof Float32Array || array instanceof Float64Array))
      throw damaged(`${layer}, ${name}: ${Object.prototype.toString.call(array)}`, 'a Float32Array or Float64Array');
    const size = batch * sizeOf(shape);
    if (array.length !== size) throw damaged(`${layer}, ${name}: ${array.length} values`, `${size} values`);
  }
}

function describeSlot(name: string, shape: Shape | undefined): string {
  return shape === undefined ? `no ${name}` : `${name} [${shape.join(', ')}]`;
}

function parseHeader(bytes: Uint8Array): Header {
  let header: Readonly<Record<string, unknown>>;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as typeof header;
  } catch (cause) {
    throw damaged('a header that is not JSON', 'JSON', undefined, cause);
  }
  if (typeof header !== 'object' || header === null || (header.version !== 1 && header.version !== 2))
    throw unknownVersion(header);
  checkCount('batch', header.batch);
  if (header.dtype !== 'float32' && header.dtype !== 'float64')
    throw damaged(`dtype ${String(header.dtype)}`, 'float32 or float64');
  checkPositions(header.positions, header.batch as number);
  return header.version === 1 ? parseVersion1(header) : parseVersion2(header);
}

function parseVersion2(header: Readonly<Record<string, unknown>>): Header {
  const { blocks } = header;
  if (!Array.isArray(blocks) || blocks.length === 0) throw damaged('no list of blocks', 'the blocks of a model');
  for (const block of blocks as readonly Partial<SnapshotBlock>[]) {
    const { kind, slots } = block ?? {};
    if (typeof kind !== 'string' || typeof slots !== 'object' || slots === null)
      throw damaged(`a block ${JSON.stringify(block)}`, '{ kind, slots }');
    for (const [name, shape] of Object.entries(slots)) {
      if (!Array.isArray(shape)) throw damaged(`${name} ${JSON.stringify(shape)}`, 'a shape');
      for (const extent of shape) checkCount(name, extent);
    }
  }
  return header as unknown as Header;
}

/** Parses a header of version 1, which gives the number of layers and the sizes that all of them have. */
function parseVersion1(header: Readonly<Record<string, unknown>>): Header {
  for (const name of [...SIZES_V1, 'layers']) checkCount(name, header[name]);
  const { layers, ...rest } = header as unknown as HeaderV1;
  if (layers > MAX_LAYERS) throw damaged(`${layers} layers`, `at most ${MAX_LAYERS}`);
  return { ...withoutSizes(rest), version: 2, blocks: blocksOfV1(rest, layers) };
}

type HeaderV1 = Omit<StateSnapshotV1, 'layers'> & Pick<Header, 'dtype'> & { readonly layers: number };

function blocksOfV1(sizes: SnapshotSizesV1, layers: number): readonly SnapshotBlock[] {
  return new Array<SnapshotBlock>(layers).fill({ kind: 'mamba', slots: slotsOfV1(sizes) });
}

function withoutSizes<T extends SnapshotSizesV1>(snapshot: T): Omit<T, keyof SnapshotSizesV1> {
  const rest: Record<string, unknown> = { ...snapshot };
  for (const name of SIZES_V1) delete rest[name];
  return rest as Omit<T, keyof SnapshotSizesV1>;
}

/** The largest number of layers that a model may have. */
const MAX_LAYERS = 2 ** 16;

function checkCount(name: string, value: unknown): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= 1))
    throw damaged(`${name} ${String(value)}`, 'a positive integer');
}

function checkPositions(positions: unknown, batch: number): void {
  const valid = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(positions) || positions.length !== batch || !positions.every(valid)) {
    throw damaged(`positions ${JSON.stringify(positions)}`, `${batch} counts of tokens, one a row`);
  }
}

function unknownVersion(snapshot: unknown): MambaError {
  const version = (snapshot as { readonly version?: unknown } | null | undefined)?.version;
  return damaged(`version ${String(version)}`, 'version 1 or 2', 'Read it with the release that wrote it.');
}

/** The 32-bit FNV-1a hash. It detects damage, not forgery. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

const NO_SNAPSHOT = 'Give a file that a state or a session was saved as.';
const CHANGED = 'The file is cut off, or was changed: save the state again, or take another copy.';

function damaged(given: string, expected: string, remedy?: string, cause?: unknown): MambaError {
  return new MambaError('invalid-file', 'the state snapshot cannot be used', {
    origin: 'snapshot',
    given,
    expected,
    remedy,
    cause,
  });
}
