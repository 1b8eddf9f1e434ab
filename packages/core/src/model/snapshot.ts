import { MambaError } from '../contract/errors.ts';
import type { LayerSnapshot, ModelConfig } from './contract.ts';

/** A model's state as plain data, continued by any backend. float64 where the reference exported it. */
export interface StateSnapshot {
  readonly version: 1;
  readonly batch: number;
  /** Tokens fed so far, of each row. */
  readonly positions: readonly number[];
  readonly dInner: number;
  readonly dState: number;
  readonly dConv: number;
  readonly layers: readonly LayerSnapshot[];
  /** Which model it belongs to, for whoever keeps snapshots of several. */
  readonly fingerprint?: string | undefined;
  /** Whatever its keeper wants to find beside it: plain data, as JSON can hold it. Unknown to core, and not to be trusted on reading. */
  readonly extra?: unknown;
}

const MAGIC = 'MAMBAST1';
const MAX_HEADER = 1 << 20;

type Header = Omit<StateSnapshot, 'layers'> & {
  readonly layers: number;
  readonly dtype: 'float32' | 'float64';
};

/** Bytes before the header: magic, length of the header, checksum. */
const PREFIX = 16;

/**
 * One portable file, little-endian: magic `MAMBAST1`, length of the header (u32), FNV-1a of all bytes from the header on (u32), the
 * header in JSON, then conv and ssm of each layer.
 */
export function encodeSnapshot(snapshot: StateSnapshot): Uint8Array {
  const double = snapshot.layers.some(({ conv, ssm }) => conv instanceof Float64Array || ssm instanceof Float64Array);
  const width = double ? 8 : 4;
  const arrays = snapshot.layers.flatMap(({ conv, ssm }) => [conv, ssm]);
  const header: Header = { ...snapshot, layers: snapshot.layers.length, dtype: double ? 'float64' : 'float32' };
  const json = new TextEncoder().encode(JSON.stringify(header));
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

/** @throws MambaError `invalid-file` where the bytes are not a whole, undamaged snapshot of a version that this release knows. */
export function decodeSnapshot(file: Uint8Array): StateSnapshot {
  if (file.length < PREFIX || new TextDecoder().decode(file.subarray(0, 8)) !== MAGIC)
    throw damaged(`${file.length} bytes that do not start with ${MAGIC}`, 'a state snapshot');
  const prefix = new DataView(file.buffer, file.byteOffset, PREFIX);
  const length = prefix.getUint32(8, true);
  if (length > MAX_HEADER || PREFIX + length > file.length)
    throw damaged(`a header of ${length} bytes in a file of ${file.length}`, 'a whole file');
  const sum = prefix.getUint32(12, true);
  if (checksum(file.subarray(PREFIX)) !== sum) throw damaged('bytes whose checksum differs', `checksum ${sum}`);
  const { layers: count, dtype, ...header } = parseHeader(file.subarray(PREFIX, PREFIX + length));
  const data = file.subarray(PREFIX + length);
  const width = dtype === 'float64' ? 8 : 4;
  const convSize = header.batch * header.dInner * (header.dConv - 1);
  const ssmSize = header.batch * header.dInner * header.dState;
  if (data.length !== count * (convSize + ssmSize) * width)
    throw damaged(`${data.length} bytes of state`, `${count * (convSize + ssmSize) * width}`);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let offset = 0;
  const take = (size: number): Float32Array | Float64Array => {
    const array = dtype === 'float64' ? new Float64Array(size) : new Float32Array(size);
    for (let index = 0; index < size; index++, offset += width)
      array[index] = dtype === 'float64' ? view.getFloat64(offset, true) : view.getFloat32(offset, true);
    return array;
  };
  const layers = Array.from({ length: count }, () => ({ conv: take(convSize), ssm: take(ssmSize) }));
  return { ...header, layers };
}

export function checkSnapshot(snapshot: StateSnapshot, config: ModelConfig): void {
  if (snapshot?.version !== 1)
    throw damaged(`version ${String(snapshot?.version)}`, 'version 1', 'Read it with the release that wrote it.');
  for (const key of ['dInner', 'dState', 'dConv'] as const) {
    if (snapshot[key] !== config[key])
      throw damaged(`${key} ${snapshot[key]}`, `${config[key]}, this model's`, 'It belongs to another model.');
  }
  if (!(Number.isSafeInteger(snapshot.batch) && snapshot.batch >= 1))
    throw damaged(`batch ${snapshot.batch}`, 'at least 1');
  checkPositions(snapshot.positions, snapshot.batch);
  if (!Array.isArray(snapshot.layers) || snapshot.layers.length !== config.layers)
    throw damaged(
      `${snapshot.layers?.length} layers`,
      `${config.layers}, this model's`,
      'It belongs to another model.',
    );
  const convSize = snapshot.batch * config.dInner * (config.dConv - 1);
  const ssmSize = snapshot.batch * config.dInner * config.dState;
  for (const [index, layer] of snapshot.layers.entries()) {
    const [conv, ssm] = [layer?.conv?.length, layer?.ssm?.length];
    if (conv !== convSize || ssm !== ssmSize)
      throw damaged(`layer ${index} of ${conv} and ${ssm} values`, `${convSize} and ${ssmSize}`);
    for (const values of [layer!.conv, layer!.ssm] as readonly unknown[])
      if (!(values instanceof Float32Array || values instanceof Float64Array))
        throw damaged(`layer ${index} of ${Object.prototype.toString.call(values)}`, 'a Float32Array or Float64Array');
  }
}

function parseHeader(bytes: Uint8Array): Header {
  let header: Partial<Header>;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Partial<Header>;
  } catch (cause) {
    throw damaged('a header that is not JSON', 'JSON', undefined, cause);
  }
  if (typeof header !== 'object' || header === null || header.version !== 1)
    throw damaged(`version ${String(header?.version)}`, 'version 1', 'Read it with the release that wrote it.');
  for (const key of ['batch', 'dInner', 'dState', 'dConv', 'layers'] as const) {
    const value = header[key];
    if (!(Number.isSafeInteger(value) && (value as number) >= 1))
      throw damaged(`${key} ${String(value)}`, 'a positive integer');
  }
  if (header.dtype !== 'float32' && header.dtype !== 'float64')
    throw damaged(`dtype ${String(header.dtype)}`, 'float32 or float64');
  checkPositions(header.positions, header.batch!);
  return header as Header;
}

function checkPositions(positions: readonly number[] | undefined, batch: number): void {
  const valid = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
  if (!Array.isArray(positions) || positions.length !== batch || !positions.every(valid)) {
    throw damaged(`positions ${JSON.stringify(positions)}`, `${batch} counts of tokens, one a row`);
  }
}

/** FNV-1a, 32 bits: against damage, not malice. */
function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

function damaged(given: string, expected: string, remedy?: string, cause?: unknown): MambaError {
  return new MambaError('invalid-file', 'the state snapshot cannot be used', {
    origin: 'snapshot',
    given,
    expected,
    remedy,
    cause,
  });
}
