/**
 * Makes files as `torch.save` writes them: a zip archive of a pickle and storages, and the older sequence of pickles.
 */

const text = new TextEncoder();

export function bytes(...pieces: readonly (Uint8Array | readonly number[] | string)[]): Uint8Array {
  const parts = pieces.map((piece) =>
    typeof piece === 'string' ? text.encode(piece) : piece instanceof Uint8Array ? piece : Uint8Array.from(piece),
  );
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

export const u16 = (value: number): Uint8Array => new Uint8Array(Uint16Array.of(value).buffer);
export const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
export const u64 = (value: number): Uint8Array => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);

/** A global name of Python. */
export class Global {
  readonly module: string;
  readonly name: string;
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }
}
export class Tuple {
  readonly items: readonly unknown[];
  constructor(...items: readonly unknown[]) {
    this.items = items;
  }
}
export class Call {
  readonly callable: unknown;
  readonly args: Tuple;
  constructor(callable: unknown, ...args: readonly unknown[]) {
    this.callable = callable;
    this.args = new Tuple(...args);
  }
}
export class Persistent {
  readonly id: unknown;
  constructor(id: unknown) {
    this.id = id;
  }
}
/** A dict with attributes. */
export class Built {
  readonly value: unknown;
  readonly state: unknown;
  constructor(value: unknown, state: unknown) {
    this.value = value;
    this.state = state;
  }
}

/**
 * Pickles a value without memoizing anything, which the format allows. `protocol` 4 writes globals and texts as Python
 * 3 does by default.
 */
export function pickle(value: unknown, protocol: 2 | 4 = 2): Uint8Array {
  const body = bytes(encode(value, protocol), '.');
  return protocol === 2 ? bytes([0x80, 2], body) : bytes([0x80, 4, 0x95], u64(body.length), body);
}

function encode(value: unknown, protocol: 2 | 4): Uint8Array {
  const inner = (item: unknown): Uint8Array => encode(item, protocol);
  if (value === null) return bytes('N');
  if (value === true) return bytes([0x88]);
  if (value === false) return bytes([0x89]);
  if (typeof value === 'string') {
    const content = text.encode(value);
    return protocol === 4 && content.length < 256
      ? bytes([0x8c, content.length], content, [0x94])
      : bytes('X', u32(content.length), content);
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) {
      const view = new DataView(new ArrayBuffer(8));
      view.setFloat64(0, value);
      return bytes('G', new Uint8Array(view.buffer));
    }
    if (value >= 0 && value < 256) return bytes('K', [value]);
    if (value >= 0 && value < 65536) return bytes('M', u16(value));
    if (Math.abs(value) < 2 ** 31) return bytes('J', u32(value >>> 0));
    return bytes([0x8a, 8], u64(value));
  }
  if (value instanceof Tuple) {
    const { length } = value.items;
    if (length === 0) return bytes(')');
    if (length <= 3) return bytes(...value.items.map(inner), [0x84 + length]);
    return bytes('(', ...value.items.map(inner), 't');
  }
  if (value instanceof Global)
    return protocol === 4
      ? bytes(inner(value.module), inner(value.name), [0x93])
      : bytes(`c${value.module}\n${value.name}\n`);
  if (value instanceof Call) return bytes(inner(value.callable), inner(value.args), 'R');
  if (value instanceof Persistent) return bytes(inner(value.id), 'Q');
  if (value instanceof Built) return bytes(inner(value.value), inner(value.state), 'b');
  if (value instanceof Map) {
    const items = [...value].flatMap(([key, item]) => [inner(key), inner(item)]);
    return bytes('}', '(', ...items, 'u');
  }
  if (Array.isArray(value)) return bytes(']', '(', ...value.map(inner), 'e');
  throw new Error(`no pickle of ${String(value)}`);
}

export const STORAGES = {
  F32: 'FloatStorage',
  F64: 'DoubleStorage',
  F16: 'HalfStorage',
  BF16: 'BFloat16Storage',
  I64: 'LongStorage',
};
const WIDTHS = { F32: 4, F64: 8, F16: 2, BF16: 2, I64: 8 };

/** A tensor as a view of a storage. */
export interface TorchTensor {
  readonly dtype: keyof typeof STORAGES;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  readonly strides?: readonly number[];
  readonly offset?: number;
  /** The key of the storage, which tensors with the same key share. */
  readonly storage?: string;
  readonly parameter?: boolean;
}

export interface TorchFile {
  readonly pickled: unknown;
  readonly storages: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly elements: number }>;
}

/** The value that `torch.save(dict)` pickles. Old versions have one more item in the id of a storage. */
export function stateDict(tensors: ReadonlyMap<string, TorchTensor>, legacy = false): TorchFile {
  const storages = new Map<string, { bytes: Uint8Array; elements: number }>();
  const entries = new Map<string, unknown>();
  for (const [name, tensor] of tensors) {
    const { dtype, shape, strides = contiguous(shape), offset = 0, storage = String(storages.size) } = tensor;
    const elements = tensor.bytes.length / WIDTHS[dtype];
    storages.set(storage, { bytes: tensor.bytes, elements });
    const id = ['storage', new Global('torch', STORAGES[dtype]), storage, 'cpu', elements, ...(legacy ? [null] : [])];
    const view = new Call(
      new Global('torch._utils', '_rebuild_tensor_v2'),
      ...[new Persistent(new Tuple(...id)), offset, new Tuple(...shape), new Tuple(...strides)],
      ...[false, new Call(new Global('collections', 'OrderedDict'))],
    );
    const hooks = new Call(new Global('collections', 'OrderedDict'));
    entries.set(
      name,
      tensor.parameter ? new Call(new Global('torch._utils', '_rebuild_parameter'), view, true, hooks) : view,
    );
  }
  return { pickled: entries, storages };
}

export function contiguous(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1]! * shape[axis + 1]!;
  return strides;
}

/** A file of PyTorch 1.6 or newer. */
export function torchZip(
  { pickled, storages }: TorchFile,
  { protocol = 2, zip64 = false, root = 'archive' }: { protocol?: 2 | 4; zip64?: boolean; root?: string } = {},
): Uint8Array {
  const entries: [string, Uint8Array][] = [
    [`${root}/data.pkl`, pickle(pickled, protocol)],
    [`${root}/byteorder`, text.encode('little')],
    ...[...storages].map(([key, storage]): [string, Uint8Array] => [`${root}/data/${key}`, storage.bytes]),
    [`${root}/version`, text.encode('3\n')],
  ];
  return zip(entries, zip64);
}

/** A zip archive of uncompressed entries, each aligned to 64 bytes by an extra field, as PyTorch does. */
export function zip(entries: readonly (readonly [string, Uint8Array])[], zip64 = false, method = 0): Uint8Array {
  const pieces: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  const put = (piece: Uint8Array): void => {
    pieces.push(piece);
    at += piece.length;
  };
  for (const [name, content] of entries) {
    const path = text.encode(name);
    const header = at;
    const padding = (64 - ((at + 30 + path.length + 4) % 64)) % 64;
    const sizes = bytes(u32(0), u32(content.length), u32(content.length));
    const fields = bytes(u16(0), u16(0x800), u16(method), u32(0));
    put(bytes(u32(0x04034b50), fields, sizes, u16(path.length), u16(4 + padding), path));
    put(bytes('FB', u16(padding), new Uint8Array(padding)));
    put(content);
    const bigintAsText = zip64
      ? bytes(u16(1), u16(24), u64(content.length), u64(content.length), u64(header))
      : bytes();
    const full = u32(0xffffffff);
    directory.push(
      bytes(
        ...[u32(0x02014b50), u16(0), fields, zip64 ? bytes(u32(0), full, full) : sizes],
        ...[
          u16(path.length),
          u16(bigintAsText.length),
          u16(0),
          u16(0),
          u16(0),
          u32(0),
          zip64 ? full : u32(header),
          path,
          bigintAsText,
        ],
      ),
    );
  }
  const start = at;
  const listed = bytes(...directory);
  const count = entries.length;
  put(listed);
  if (zip64) {
    const end = at;
    const counts = bytes(u64(count), u64(count), u64(listed.length), u64(start));
    put(bytes(u32(0x06064b50), u64(44), u16(0), u16(0), u32(0), u32(0), counts));
    put(bytes(u32(0x07064b50), u32(0), u64(end), u32(1)));
    put(bytes(u32(0x06054b50), u16(0), u16(0), u16(0xffff), u16(0xffff), u32(0xffffffff), u32(0xffffffff), u16(0)));
  } else {
    put(bytes(u32(0x06054b50), u16(0), u16(0), u16(count), u16(count), u32(listed.length), u32(start), u16(0)));
  }
  return bytes(...pieces);
}

/** A file of PyTorch before 1.6. */
export function torchLegacy({ pickled, storages }: TorchFile): Uint8Array {
  const keys = [...storages.keys()].sort();
  const machine = new Map<string, unknown>([
    ['protocol_version', 1001],
    ['little_endian', true],
    [
      'type_sizes',
      new Map([
        ['short', 2],
        ['int', 4],
        ['long', 4],
      ]),
    ],
  ]);
  const magic = Uint8Array.of(
    ...[0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
  );
  const data = keys.flatMap((key) => [u64(storages.get(key)!.elements), storages.get(key)!.bytes]);
  return bytes(magic, pickle(1001), pickle(machine), pickle(pickled), pickle(keys), ...data);
}
