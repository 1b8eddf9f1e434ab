import { MambaError, type Shape, sizeOf } from '@mamba/core';
import { damaged, quote } from '../errors.ts';
import { bitsOf } from '../safetensors/dtypes.ts';
import { Callable, kindOf, type PickleEnvironment } from './pickle.ts';

/** A row of numbers in the file, of which tensors are views. */
export class Storage {
  readonly key: string;
  /** The dtype; undefined where each tensor gives its own. */
  readonly dtype: string | undefined;
  /** The size in elements, or in bytes where there is no dtype. */
  readonly size: number;

  constructor(key: string, dtype: string | undefined, size: number) {
    this.key = key;
    this.dtype = dtype;
    this.size = size;
  }
}

/** A tensor as a view of a storage. `offset` and `strides` count elements of the storage. */
export class StoredTensor {
  readonly storage: Storage;
  readonly dtype: string;
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: Shape;

  constructor(storage: Storage, dtype: string, offset: number, shape: Shape, strides: Shape) {
    this.storage = storage;
    this.dtype = dtype;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** The names that a pickle of tensors may use. None of them runs code. */
export function tensorEnvironment(origin: string): PickleEnvironment {
  const tensor = (args: readonly unknown[], dtype?: unknown): StoredTensor => viewOf(origin, args, dtype);
  const calls: Readonly<Record<string, (args: readonly unknown[]) => unknown>> = {
    'torch._utils._rebuild_tensor': (args) => tensor(args),
    'torch._utils._rebuild_tensor_v2': (args) => tensor(args),
    // For dtypes without a storage type of their own; the last argument names the dtype.
    'torch._utils._rebuild_tensor_v3': (args) => tensor(args, args[6]),
    'torch._utils._rebuild_parameter': ([data]) => data,
    'torch._utils._rebuild_parameter_with_state': ([data]) => data,
    'torch.Size': ([sizes]) => sizes,
    // Python 2 passes the items as an argument.
    'collections.OrderedDict': ([pairs]) =>
      new Map(Array.isArray(pairs) ? pairs.filter((pair): pair is [unknown, unknown] => Array.isArray(pair)) : []),
  };
  return {
    global(module, name) {
      // Python 2 calls the module `__builtin__`.
      const full = `${module === '__builtin__' ? 'builtins' : module}.${name}`;
      if (Object.hasOwn(calls, full)) return new Callable(full, calls[full]!);
      if (module === 'torch' || module === 'torch.storage') {
        if (Object.hasOwn(STORAGES, name)) return new StorageType(STORAGES[name]);
        if (Object.hasOwn(DTYPES, name)) return new DType(DTYPES[name]!);
      }
      throw new MambaError('unsupported', `${origin} cannot be read`, {
        origin,
        given: `${quote(full)}, which loading it would import and run`,
        expected: 'tensors in dicts alone',
        remedy:
          'If you trust it, save its state_dict() again where it was made, better as safetensors: ' +
          'save_pretrained(…, safe_serialization=True) of transformers does.',
      });
    },
    persistent: (id) => storageOf(origin, id),
  };
}

/**
 * The state dict of a file: its root, or the value under a key that training scripts use.
 * @throws MambaError `invalid-file` where there is none.
 */
export function stateDict(origin: string, root: unknown): ReadonlyMap<string, StoredTensor> {
  const places = [root, ...NESTED.map((name) => (root instanceof Map ? root.get(name) : undefined))];
  for (const place of places) {
    if (!(place instanceof Map)) continue;
    const tensors = [...(place as Map<unknown, unknown>)].filter(
      (entry): entry is [string, StoredTensor] => typeof entry[0] === 'string' && entry[1] instanceof StoredTensor,
    );
    if (tensors.length > 0) return new Map(tensors);
  }
  throw damaged(origin, `${kindOf(root)} without tensors`, 'a state dict: a dict from names to tensors');
}

const NESTED = ['state_dict', 'model_state_dict', 'model', 'module'];

class StorageType {
  readonly dtype: string | undefined;

  constructor(dtype: string | undefined) {
    this.dtype = dtype;
  }
}

class DType {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

const STORAGES: Readonly<Record<string, string | undefined>> = {
  DoubleStorage: 'F64',
  FloatStorage: 'F32',
  HalfStorage: 'F16',
  BFloat16Storage: 'BF16',
  LongStorage: 'I64',
  IntStorage: 'I32',
  ShortStorage: 'I16',
  CharStorage: 'I8',
  ByteStorage: 'U8',
  BoolStorage: 'BOOL',
  ComplexFloatStorage: 'C64',
  UntypedStorage: undefined,
};

const DTYPES: Readonly<Record<string, string>> = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint64: 'U64',
  uint32: 'U32',
  uint16: 'U16',
  uint8: 'U8',
  bool: 'BOOL',
  complex64: 'C64',
  float8_e5m2: 'F8_E5M2',
  float8_e4m3fn: 'F8_E4M3',
};

/**
 * The storage of an id `('storage', type, key, location, size)`. Old files may add the part of the storage that is
 * meant.
 */
function storageOf(origin: string, id: unknown): Storage {
  const [kind, type, key, , size, part] = Array.isArray(id) ? (id as unknown[]) : [];
  if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isSize(size))
    throw damaged(origin, `a reference to ${kindOf(kind)}`, 'one to a storage');
  if (part !== undefined && part !== null)
    throw damaged(origin, 'a storage that is a part of another', 'whole storages', 'Save it with PyTorch 1 or newer.');
  return new Storage(key, type.dtype, size);
}

function viewOf(origin: string, args: readonly unknown[], named: unknown): StoredTensor {
  const [storage, offset, shape, strides] = args;
  const sizes = Array.isArray(shape) && Array.isArray(strides) && [offset, ...shape, ...strides].every(isSize);
  if (!(storage instanceof Storage) || !sizes || shape.length !== strides.length || shape.length > MAX_RANK)
    throw damaged(origin, 'a tensor without a storage, a shape and strides', 'all of them');
  const dtype = named instanceof DType ? named.name : storage.dtype;
  if (dtype === undefined) throw damaged(origin, 'a tensor of no dtype', 'one that is named');
  const tensor = new StoredTensor(storage, dtype, offset as number, shape as number[], strides as number[]);
  const available = storage.dtype === undefined ? Math.floor(storage.size / (bitsOf(dtype)! / 8)) : storage.size;
  const elements = sizeOf(tensor.shape);
  if (elements > MAX_ELEMENTS || (elements > 0 && lastOf(tensor) >= available))
    throw damaged(
      origin,
      `a tensor [${tensor.shape.join(', ')}] with strides [${tensor.strides.join(', ')}] from ${tensor.offset}`,
      `one within the ${available} elements of its storage`,
    );
  return tensor;
}

const MAX_RANK = 64;
const MAX_ELEMENTS = 2 ** 48;

/** The index of a tensor's last element in its storage. */
export function lastOf({ offset, shape, strides }: Pick<StoredTensor, 'offset' | 'shape' | 'strides'>): number {
  return shape.reduce((last, extent, axis) => last + (extent - 1) * strides[axis]!, offset);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
