import {
  type HostTensor,
  MambaError,
  type ModelConfig,
  type ModelConfigLike,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  sizeOf,
} from '@mamba/core';
import { checkFits, copyFloats, expectationOf, invalid, misfit, sameShape } from '@mamba/core/toolkit';
import type { SpecialTokens } from '../config/special-tokens.ts';
import { allocate, quote, show } from '../errors.ts';
import type { GgufFormat } from '../families/family.ts';
import { ggufFamilyFormat, listed } from '../families/list.ts';
import { uint32 } from '../families/shared/gguf.ts';
import type { ByteSink } from '../io/byte-sink.ts';
import { type PlannedTensor, planTensors, valueReader } from '../stored/plan.ts';
import { encodeHeader, type HeaderTensor } from './encode-header.ts';
import type { TypedValue } from './metadata.ts';
import { ARCHITECTURE } from './model.ts';
import { quantize, WRITABLE, type WritableType } from './quantize.ts';
import { NO_TOKENIZER, tokenizerMetadata } from './tokenizer.ts';
import { BLOCKS, isQuantized } from './types.ts';

/** What `writeGguf` writes, and where to. */
export interface WriteGgufOptions {
  readonly config: ModelConfigLike;
  readonly source: ParameterSource;
  /** The name of the family whose architecture is written. Default: the first that can express the model. */
  readonly family?: string | undefined;
  /** The type of the matrices. Matrices whose rows are not whole blocks are written in F16, as llama-quantize does. */
  readonly type: WritableType;
  readonly sink: ByteSink;
  /** The content of a `tokenizer.json`. Without it, the file has no vocabulary. */
  readonly tokenizer?: unknown;
  readonly specialTokens?: SpecialTokens | undefined;
  /** A template in Jinja, as in `tokenizer_config.json`. */
  readonly chatTemplate?: string | undefined;
  /** The value of `general.name`. */
  readonly name?: string | undefined;
  /** Called after each tensor. */
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How far writing has come, after each tensor. */
export interface WriteProgress {
  readonly tensor: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What `writeGguf` wrote. */
export interface WrittenGguf {
  readonly bytes: number;
  readonly tensors: readonly { readonly name: string; readonly type: WritableType }[];
  /** The reasons why llama.cpp will refuse the file or compute something else; empty where it does neither. */
  readonly llamaCppLimits: readonly string[];
}

/**
 * Writes a model as a GGUF file of the architecture of its family, one parameter in memory at a time. Norms, biases, A,
 * D and the convolution are F32, as llama.cpp's kernels require. Matrices have the type `type`, except that the
 * embedding and the head are Q8_0 with the 4- and 5-bit types, since every logit depends on them.
 * @throws MambaError `invalid-argument` where an argument or a parameter is wrong or a weight does not fit the type,
 * `unsupported` for a model that no family has an architecture for or a tokenizer that GGUF cannot hold, `aborted`, and
 * any error of the source and the sink. The sink is aborted then.
 */
export async function writeGguf(options: WriteGgufOptions): Promise<WrittenGguf> {
  const { sink } = options;
  try {
    return await write(options);
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

/** The default alignment of ggml, in bytes. */
const ALIGNMENT = 32;
/** Number of values that are encoded at once, a multiple of every block size. */
const PIECE = 2 ** 18;

/** The values of llama.cpp's `general.file_type`. */
const FILE_TYPES: Readonly<Record<WritableType, number>> = {
  F32: 0,
  F16: 1,
  Q4_0: 2,
  Q4_1: 3,
  Q8_0: 7,
  Q5_0: 8,
  Q5_1: 9,
  BF16: 32,
};

async function write(options: WriteGgufOptions): Promise<WrittenGguf> {
  const { source, sink, type, family, onProgress, signal } = options;
  if (!WRITABLE.includes(type)) throw invalid('writeGguf.type', show(type), `one of ${WRITABLE.join(', ')}`);
  const config = listed(options.config);
  const { format } = ggufFamilyFormat('writeGguf', config, family);
  const tensors = plan(planTensors(modelParameters(config), format.tensors(config)), type);
  const header = encodeHeader(metadataOf(options, config, format), tensors, ALIGNMENT);
  const totalBytes = header.length + tensors.reduce((sum, { bytes }) => sum + pad(bytes), 0);
  await sink.write(header);
  let bytes = header.length;
  const valuesOf = valueReader((parameter) => checked(source, parameter));
  for (const tensor of tensors) {
    if (signal?.aborted) throw new MambaError('aborted', `writing ${sink.name} was aborted`, { origin: sink.name });
    await writeTensor(sink, tensor, valuesOf);
    bytes += pad(tensor.bytes);
    onProgress?.({ tensor: tensor.name, bytes, totalBytes });
  }
  await sink.close();
  return {
    bytes,
    tensors: tensors.map(({ name, type: written }) => ({ name, type: written })),
    llamaCppLimits: format.llamaCppLimits(config),
  };
}

interface SizedTensor extends HeaderTensor, Pick<PlannedTensor, 'pieces'> {
  readonly type: WritableType;
}

function plan(planned: readonly PlannedTensor[], type: WritableType): readonly SizedTensor[] {
  let offset = 0;
  return planned.map(({ name, shape, parameter, pieces }) => {
    const written = typeOf(parameter, type);
    const { elements, bytes } = BLOCKS[written];
    const size = (sizeOf(shape) / elements) * bytes;
    const tensor = { name, type: written, shape, pieces, offset, bytes: size };
    offset += pad(size);
    return tensor;
  });
}

function typeOf({ key, role, shape }: ParameterSpec, type: WritableType): WritableType {
  if (role === 'vector') return 'F32';
  if (!isQuantized(type)) return type;
  const vocabulary = key === 'embedding' || key === 'head';
  return shape.at(-1)! % BLOCKS[type].elements !== 0 ? 'F16' : vocabulary ? 'Q8_0' : type;
}

function metadataOf(
  options: WriteGgufOptions,
  config: ModelConfig,
  format: GgufFormat,
): readonly (readonly [string, TypedValue])[] {
  const { type, tokenizer, specialTokens = NO_TOKENS, chatTemplate, name } = options;
  const string = (value: string): TypedValue => ({ type: 'string', value });
  const entries: (readonly [string, TypedValue])[] = [
    [ARCHITECTURE, string(format.architecture)],
    ['general.type', string('model')],
    ...(name === undefined ? [] : [['general.name', string(name)] as const]),
    ['general.file_type', uint32(FILE_TYPES[type])],
    ...(isQuantized(type) ? [['general.quantization_version', uint32(2)] as const] : []),
    ...format.metadata(config),
  ];
  if (tokenizer === undefined) entries.push(NO_TOKENIZER);
  else entries.push(...tokenizerMetadata(tokenizer, config.vocabSize, specialTokens));
  if (specialTokens.bos !== undefined) entries.push(['tokenizer.ggml.bos_token_id', uint32(specialTokens.bos)]);
  // The format has a key for the end of a text, of a turn and of a message.
  for (const [index, name] of (['eos', 'eot', 'eom'] as const).entries()) {
    const id = specialTokens.eos[index];
    if (id !== undefined) entries.push([`tokenizer.ggml.${name}_token_id`, uint32(id)]);
  }
  if (chatTemplate !== undefined) entries.push(['tokenizer.chat_template', string(chatTemplate)]);
  return entries;
}

const NO_TOKENS: SpecialTokens = { bos: undefined, eos: [] };

async function checked(source: ParameterSource, parameter: ParameterSpec): Promise<HostTensor> {
  const host = await source(parameter);
  if (host.dtype === 'int32' || !sameShape(host.shape, parameter.shape) || host.data.length !== sizeOf(host.shape))
    throw invalid(
      `writeGguf.source: ${parameter.name}`,
      `${host.dtype} [${host.shape.join(', ')}]`,
      `floats [${parameter.shape.join(', ')}]`,
    );
  return host;
}

async function writeTensor(
  sink: ByteSink,
  tensor: SizedTensor,
  valuesOf: ReturnType<typeof valueReader>,
): Promise<void> {
  const { name, type, shape, bytes: size } = tensor;
  const row = sizeOf(shape) / shape[0]!;
  for await (const { host, first } of valuesOf(tensor)) await writeValues(sink, name, type, host, first * row);
  if (pad(size) > size) await sink.write(new Uint8Array(pad(size) - size));
}

/** Encodes and writes values. `before` is the number of the tensor's values that were written before. */
async function writeValues(
  sink: ByteSink,
  name: string,
  type: WritableType,
  host: HostTensor,
  before: number,
): Promise<void> {
  const { elements, bytes } = BLOCKS[type];
  const count = host.data.length;
  checkFits(`writeGguf.source: ${quote(name)}`, host, 'float32');
  const values = new Float32Array(Math.min(PIECE, count));
  const piece = allocate(sink.name, (values.length / elements) * bytes);
  for (let start = 0; start < count; start += PIECE) {
    const part = values.subarray(0, Math.min(PIECE, count - start));
    const data = host.data.subarray(start, start + part.length);
    copyFloats({ ...host, data } as HostTensor, part);
    const encoded = piece.subarray(0, (part.length / elements) * bytes);
    const found = quantize(type, part, encoded);
    if (found >= 0) {
      const at = found + extremeOf(part.subarray(found, found + elements));
      throw misfit(
        `writeGguf.source: ${quote(name)}`,
        part[at]!,
        String(before + start + at),
        elements > 1 ? 'finite values whose scale fits F16' : expectationOf(type === 'F16' ? 'float16' : 'bfloat16'),
        { type, float32: 'F32', bfloat16: 'BF16' },
      );
    }
    await sink.write(encoded);
  }
}

/** The index of the first value that is not finite, or else of the largest one. */
function extremeOf(block: Float32Array): number {
  let most = 0;
  for (const [index, value] of block.entries()) {
    if (!Number.isFinite(value)) return index;
    if (Math.abs(value) > Math.abs(block[most]!)) most = index;
  }
  return most;
}

function pad(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
