import { isMambaError, MambaError, sizeOf } from '@mamba/core';
import { sameShape } from '@mamba/core/toolkit';
import { allocate, damaged, quote } from '../errors.ts';
import type { ByteSource } from '../io/byte-source.ts';
import { bitsOf } from '../safetensors/dtypes.ts';
import { type SafetensorsFile, type TensorInfo, tensorFile } from '../safetensors/file.ts';
import { type Layout, readArchive } from './archive.ts';
import { LEGACY_START, readLegacy } from './legacy.ts';
import { lastOf, type StoredTensor } from './tensors.ts';

/**
 * Opens a state dict that `torch.save` wrote, of PyTorch 1.6 or newer (a zip archive) or older. Its pickle is read,
 * never run: everything but making tensors is refused. The file owns the source and closes it; if opening fails, the
 * source is closed.
 * @throws MambaError `invalid-file` where it is damaged, `unsupported` where loading it would run code, and any error
 * of the source.
 */
export async function openPytorch(source: ByteSource): Promise<SafetensorsFile> {
  try {
    const layout = await readLayout(source);
    for (const [name, tensor] of layout.tensors) checkStored(source.name, name, tensor, layout);
    return tensorFile({
      name: source.name,
      tensors: new Map([...layout.tensors].map(([name, tensor]) => [name, infoOf(tensor)])),
      metadata: new Map(),
      readBytes: (name, _, start, end) => readStored(source, layout, layout.tensors.get(name)!, start, end),
      isAlias: (a, b) => sameView(layout.tensors.get(a), layout.tensors.get(b)),
      close: () => source.close(),
    });
  } catch (error) {
    await source.close();
    if (isMambaError(error)) throw error;
    throw damaged(source.name, String(error), 'a file of torch.save', undefined, error);
  }
}

async function readLayout(source: ByteSource): Promise<Layout> {
  const start = await source.read(0, Math.min(512, source.size));
  const begins = (bytes: Uint8Array): boolean => bytes.every((byte, index) => start[index] === byte);
  if (begins(ZIP_START)) return readArchive(source);
  if (begins(LEGACY_START)) return readLegacy(source);
  if (new TextDecoder().decode(start.subarray(257, 262)) === 'ustar')
    throw new MambaError('unsupported', `${source.name} is of a version that cannot be read`, {
      origin: source.name,
      given: 'a tar archive, as PyTorch wrote before version 0.2',
      expected: 'what torch.save has written since',
      remedy: 'Save it again with a current PyTorch.',
    });
  throw damaged(source.name, 'other first bytes', 'those of torch.save', 'It is cut off, or another kind of file.');
}

const ZIP_START = Uint8Array.of(0x50, 0x4b, 0x03, 0x04);

function infoOf(tensor: StoredTensor): TensorInfo {
  const { dtype, shape, offset } = tensor;
  const width = widthOf(tensor);
  return { dtype, shape, begin: offset * width, end: (offset + sizeOf(shape)) * width };
}

/**
 * Checks that the file has the bytes of a tensor. Before, the tensor was checked with the size of its storage by the
 * pickle.
 */
function checkStored(file: string, name: string, tensor: StoredTensor, layout: Layout): void {
  const { storage } = tensor;
  const needed = storage.size * (storage.dtype === undefined ? 1 : bitsOf(storage.dtype)! / 8);
  const there = layout.sizeOf(storage);
  if (there === undefined || there < needed)
    throw damaged(
      `${file}: tensor ${quote(name)}`,
      there === undefined ? `no storage ${quote(storage.key)}` : `${there} bytes in storage ${quote(storage.key)}`,
      `${needed} bytes`,
      'It is cut off or damaged; fetch it again.',
    );
}

/** Reads the bytes of a tensor in the order of its elements. */
async function readStored(
  source: ByteSource,
  layout: Layout,
  tensor: StoredTensor,
  start: number,
  end: number,
): Promise<Uint8Array> {
  const width = widthOf(tensor);
  const storage = await layout.locate(tensor.storage);
  if (isContiguous(tensor)) return source.read(storage + tensor.offset * width + start, end - start);
  const { shape, strides, offset } = tensor;
  // Only the bytes of the rows that are asked for.
  const row = (sizeOf(shape) / shape[0]!) * width;
  const first = Math.floor(start / row);
  const rows = {
    strides,
    shape: [Math.ceil(end / row) - first, ...shape.slice(1)],
    offset: offset + first * strides[0]!,
  };
  const span = await source.read(storage + rows.offset * width, (lastOf(rows) + 1 - rows.offset) * width);
  return gather(source.name, span, rows, width).subarray(start - first * row, end - first * row);
}

/** Whether two tensors are the same view of one storage, as tied tensors are saved. */
function sameView(a: StoredTensor | undefined, b: StoredTensor | undefined): boolean {
  if (a === undefined || b === undefined || a.storage.key !== b.storage.key || a.dtype !== b.dtype) return false;
  return a.offset === b.offset && sameShape(a.shape, b.shape) && sameShape(a.strides, b.strides);
}

/** Gathers the elements of a tensor that is not contiguous: a transposed matrix, or a part of a larger tensor. */
function gather(
  name: string,
  span: Uint8Array,
  { shape, strides }: Pick<StoredTensor, 'shape' | 'strides'>,
  width: number,
): Uint8Array {
  const count = sizeOf(shape);
  const bytes = allocate(name, count * width);
  const index = shape.map(() => 0);
  let from = 0;
  for (let element = 0; element < count; element++) {
    for (let byte = 0; byte < width; byte++) bytes[element * width + byte] = span[from * width + byte]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= index[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return bytes;
}

/** Whether a tensor is contiguous. An axis of one element may have any stride. */
function isContiguous({ shape, strides }: StoredTensor): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis]! !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

function widthOf({ dtype }: StoredTensor): number {
  return bitsOf(dtype)! / 8;
}
