import {
  type HostTensor,
  MambaError,
  type ModelConfig,
  modelParameters,
  type ParameterSource,
  type ParameterSpec,
  sizeOf,
} from '@mamba/core';
import { checkFits, copyFloats, expectationOf, invalid, misfit, sameShape } from '@mamba/core/driver';
import type { SpecialTokens } from '../config/special-tokens.ts';
import { uniformMamba } from '../config/uniform.ts';
import { allocate, quote, show } from '../errors.ts';
import type { ByteSink } from '../io/byte-sink.ts';
import { encodeHeader, type HeaderTensor } from './encode-header.ts';
import type { TypedValue } from './metadata.ts';
import { ARCHITECTURE, ggufTensorName, KEYS, llamaCppLimits } from './names.ts';
import { quantize, WRITABLE, type WritableType } from './quantize.ts';
import { NO_TOKENIZER, tokenizerMetadata } from './tokenizer.ts';
import { BLOCKS, isQuantized } from './types.ts';

export interface WriteGgufOptions {
  readonly config: ModelConfig;
  readonly source: ParameterSource;
  /** Of the matrices. A row that is no whole number of blocks is written in F16, as llama-quantize does. */
  readonly type: WritableType;
  readonly sink: ByteSink;
  /** Content of a `tokenizer.json`; without it the file has no vocabulary. */
  readonly tokenizer?: unknown;
  readonly specialTokens?: SpecialTokens | undefined;
  /** Jinja, as in `tokenizer_config.json`. */
  readonly chatTemplate?: string | undefined;
  /** `general.name`. */
  readonly name?: string | undefined;
  /** Called after each tensor. */
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WriteProgress {
  readonly tensor: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

export interface WrittenGguf {
  readonly bytes: number;
  readonly tensors: readonly { readonly name: string; readonly type: WritableType }[];
  /** Why llama.cpp will refuse the file or compute something else; empty where it reads it as it is meant. */
  readonly llamaCppLimits: readonly string[];
}

/**
 * Writes a model as a GGUF file of llama.cpp's architecture `mamba`, one tensor in memory at a time. Norms, biases, A, D and the
 * convolution are F32, as llama.cpp's kernels want them; matrices are of `type`, but in the 4- and 5-bit types the embedding and the
 * head are Q8_0, since every logit depends on them.
 * @throws MambaError `invalid-argument` where an argument or a parameter is wrong or a weight does not fit the type, `unsupported` for a
 * tokenizer that GGUF cannot hold, `aborted`, and what the source and the sink throw. The sink is aborted then.
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

/** ggml aligns to this unless a file says otherwise. */
const ALIGNMENT = 32;
/** Values encoded in one piece; a multiple of every block. */
const PIECE = 2 ** 18;

/** llama.cpp's `general.file_type`. */
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
  const { config, source, sink, type, onProgress, signal } = options;
  if (!WRITABLE.includes(type)) throw invalid('writeGguf.type', show(type), `one of ${WRITABLE.join(', ')}`);
  const parameters = modelParameters(config);
  const tensors = plan(parameters, type);
  const header = encodeHeader(metadataOf(options), tensors, ALIGNMENT);
  const totalBytes = header.length + tensors.reduce((sum, { bytes }) => sum + pad(bytes), 0);
  await sink.write(header);
  let bytes = header.length;
  for (const [index, parameter] of parameters.entries()) {
    if (signal?.aborted) throw new MambaError('aborted', `writing ${sink.name} was aborted`, { origin: sink.name });
    const tensor = tensors[index]!;
    await writeTensor(sink, tensor, await checked(source, parameter));
    bytes += pad(tensor.bytes);
    onProgress?.({ tensor: tensor.name, bytes, totalBytes });
  }
  await sink.close();
  return {
    bytes,
    tensors: tensors.map(({ name, type: written }) => ({ name, type: written })),
    llamaCppLimits: llamaCppLimits(config),
  };
}

interface PlannedTensor extends HeaderTensor {
  readonly type: WritableType;
}

function plan(parameters: readonly ParameterSpec[], type: WritableType): readonly PlannedTensor[] {
  let offset = 0;
  return parameters.map((parameter) => {
    const { shape } = parameter;
    const written = typeOf(parameter, type);
    const { elements, bytes } = BLOCKS[written];
    const size = (sizeOf(shape) / elements) * bytes;
    const tensor = { name: ggufTensorName(parameter), type: written, shape, offset, bytes: size };
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

function metadataOf(options: WriteGgufOptions): readonly (readonly [string, TypedValue])[] {
  const { config, type, tokenizer, specialTokens = NO_TOKENS, chatTemplate, name } = options;
  const block = uniformMamba('writeGguf.config', config);
  const uint32 = (value: number): TypedValue => ({ type: 'uint32', value });
  const string = (value: string): TypedValue => ({ type: 'string', value });
  const entries: (readonly [string, TypedValue])[] = [
    [KEYS.architecture, string(ARCHITECTURE)],
    ['general.type', string('model')],
    ...(name === undefined ? [] : [['general.name', string(name)] as const]),
    ['general.file_type', uint32(FILE_TYPES[type])],
    ...(isQuantized(type) ? [['general.quantization_version', uint32(2)] as const] : []),
    // A state has no length; llama.cpp's converter writes the same.
    ['mamba.context_length', uint32(2 ** 20)],
    [KEYS.dModel, uint32(config.dModel)],
    // Without meaning here, but llama.cpp wants them.
    ['mamba.feed_forward_length', uint32(0)],
    ['mamba.attention.head_count', uint32(0)],
    [KEYS.layers, uint32(config.blocks.length)],
    [KEYS.vocabSize, uint32(config.vocabSize)],
    [KEYS.dConv, uint32(block.dConv)],
    [KEYS.dInner, uint32(block.dInner)],
    [KEYS.dState, uint32(block.dState)],
    [KEYS.dtRank, uint32(block.dtRank)],
    [KEYS.normEps, { type: 'float32', value: config.normEps }],
    [KEYS.mixerNorm, { type: 'bool', value: block.mixerNormEps !== undefined }],
  ];
  if (block.mixerNormEps !== undefined && block.mixerNormEps !== config.normEps)
    entries.push([KEYS.mixerNormEps, { type: 'float32', value: block.mixerNormEps }]);
  if (tokenizer === undefined) entries.push(NO_TOKENIZER);
  else entries.push(...tokenizerMetadata(tokenizer, config.vocabSize, specialTokens));
  if (specialTokens.bos !== undefined) entries.push(['tokenizer.ggml.bos_token_id', uint32(specialTokens.bos)]);
  // The format has a place for the end of a text, of a turn and of a message.
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
  { name, type, bytes: size }: PlannedTensor,
  host: HostTensor,
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
        String(start + at),
        elements > 1 ? 'finite values whose scale fits F16' : expectationOf(type === 'F16' ? 'float16' : 'bfloat16'),
        { type, float32: 'F32', bfloat16: 'BF16' },
      );
    }
    await sink.write(encoded);
  }
  if (pad(size) > size) await sink.write(new Uint8Array(pad(size) - size));
}

/** Where the first value that is not finite is, or else the largest one. */
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
