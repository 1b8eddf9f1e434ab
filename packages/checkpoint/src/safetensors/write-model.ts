import {
  type DType,
  type HostTensor,
  MambaError,
  type ModelConfig,
  modelParameters,
  type ParameterSource,
  sizeOf,
} from '@mamba/core';
import {
  bfloat16ToNumber,
  checkFits,
  copyFloats,
  float16ToNumber,
  invalid,
  numberToBfloat16,
  numberToFloat16,
  sameShape,
} from '@mamba/core/driver';
import type { SpecialTokens } from '../config/special-tokens.ts';
import { uniformMamba } from '../config/uniform.ts';
import { quote, show } from '../errors.ts';
import type { WriteProgress } from '../gguf/write.ts';
import type { ByteSink } from '../io/byte-sink.ts';
import { storedShape } from '../parameters.ts';
import { transformersName } from '../tensor-names.ts';

export const SAFETENSORS_WRITABLE_TYPES = ['F32', 'F16', 'BF16'] as const;
export type SafetensorsWritableType = (typeof SAFETENSORS_WRITABLE_TYPES)[number];

export interface WriteModelOptions {
  readonly config: ModelConfig;
  readonly source: ParameterSource;
  /** Of the matrices; norms, biases, A_log, D and the convolution are F32. */
  readonly type: SafetensorsWritableType;
  readonly sink: ByteSink;
  /** Called after each tensor. */
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model as a `model.safetensors` with transformers' names, one tensor in memory at a time. Its config is `modelConfigJson`'s.
 * @throws MambaError `invalid-argument` where an argument or a parameter is wrong or a weight does not fit the type, `aborted`, and what
 * the source and the sink throw. The sink is aborted then.
 */
export async function writeSafetensorsModel(options: WriteModelOptions): Promise<{ readonly bytes: number }> {
  try {
    return await write(options);
  } catch (error) {
    await options.sink.abort();
    throw error;
  }
}

/** The `config.json` of transformers that says the same. */
export function modelConfigJson(config: ModelConfig, { bos, eos }: SpecialTokens): object {
  const block = uniformMamba('modelConfigJson.config', config);
  const falcon = block.mixerNormEps !== undefined;
  return {
    architectures: [falcon ? 'FalconMambaForCausalLM' : 'MambaForCausalLM'],
    model_type: falcon ? 'falcon_mamba' : 'mamba',
    hidden_size: config.dModel,
    intermediate_size: block.dInner,
    // transformers computes the inner size from it.
    ...(block.dInner % config.dModel === 0 && { expand: block.dInner / config.dModel }),
    state_size: block.dState,
    conv_kernel: block.dConv,
    time_step_rank: block.dtRank,
    num_hidden_layers: config.blocks.length,
    vocab_size: config.vocabSize,
    layer_norm_epsilon: config.normEps,
    ...(falcon && { mixer_rms_eps: block.mixerNormEps }),
    tie_word_embeddings: config.tiedHead,
    use_bias: block.projectionBias,
    use_conv_bias: block.convBias,
    hidden_act: 'silu',
    ...(bos !== undefined && { bos_token_id: bos }),
    ...(eos.length > 0 && { eos_token_id: eos.length === 1 ? eos[0] : eos }),
  };
}

async function write({
  config,
  source,
  type,
  sink,
  onProgress,
  signal,
}: WriteModelOptions): Promise<{ bytes: number }> {
  if (!SAFETENSORS_WRITABLE_TYPES.includes(type))
    throw invalid('writeSafetensorsModel.type', show(type), `one of ${SAFETENSORS_WRITABLE_TYPES.join(', ')}`);
  let size = 0;
  const plan = modelParameters(config).map((parameter) => {
    const dtype = parameter.role === 'matrix' ? type : 'F32';
    const begin = size;
    size += sizeOf(parameter.shape) * (dtype === 'F32' ? 4 : 2);
    return { parameter, dtype, name: transformersName(parameter), begin, end: size };
  });
  const entries = plan.map(({ parameter, dtype, name, begin, end }) => [
    name,
    { dtype, shape: storedShape(parameter), data_offsets: [begin, end] },
  ]);
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const json = new TextEncoder().encode(text);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  await sink.write(header);
  const totalBytes = header.length + size;
  for (const { parameter, dtype, name, end } of plan) {
    if (signal?.aborted) throw new MambaError('aborted', `writing ${sink.name} was aborted`, { origin: sink.name });
    const host = await source(parameter);
    if (host.dtype === 'int32' || !sameShape(host.shape, parameter.shape))
      throw invalid(`writeSafetensorsModel.source: ${name}`, host.dtype, `floats [${parameter.shape.join(', ')}]`);
    await sink.write(encode(name, parameter.key === 'block.A' ? logOf(host) : host, dtype));
    onProgress?.({ tensor: name, bytes: header.length + end, totalBytes });
  }
  await sink.close();
  return { bytes: totalBytes };
}

/** A is stored as A_log, of A = -exp(A_log). */
function logOf({ data, dtype, shape }: HostTensor): HostTensor {
  const widen =
    dtype === 'float16' ? float16ToNumber : dtype === 'bfloat16' ? bfloat16ToNumber : (value: number) => value;
  return { dtype: 'float64', shape, data: Float64Array.from(data, (value) => Math.log(-widen(value))) };
}

/** What holds more than F16, as files call it. */
const FILE_TYPES = { float32: 'F32', bfloat16: 'BF16' };

const STORED = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const satisfies Readonly<
  Record<SafetensorsWritableType, DType>
>;

function encode(name: string, host: HostTensor, type: SafetensorsWritableType): Uint8Array {
  checkFits(`writeSafetensorsModel.source: ${quote(name)}`, host, STORED[type], { names: { ...FILE_TYPES, type } });
  const floats = new Float32Array(host.data.length);
  copyFloats(host, floats);
  if (type === 'F32') return new Uint8Array(floats.buffer);
  const narrow = type === 'F16' ? numberToFloat16 : numberToBfloat16;
  return new Uint8Array(Uint16Array.from(floats, narrow).buffer);
}
