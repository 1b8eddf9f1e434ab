import {
  type DType,
  type HostTensor,
  MambaError,
  type ModelConfigLike,
  modelParameters,
  type ParameterSource,
  sizeOf,
} from '@mamba/core';
import { checkFits, copyFloats, invalid, numberToBfloat16, numberToFloat16, sameShape } from '@mamba/core/toolkit';
import { identityJson } from '../config/config.ts';
import type { SpecialTokens } from '../config/special-tokens.ts';
import { quote, show } from '../errors.ts';
import { folderFamily, listed } from '../families/list.ts';
import type { WriteProgress } from '../gguf/write.ts';
import type { ByteSink } from '../io/byte-sink.ts';
import { planTensors, valueReader } from '../stored/plan.ts';

/** The types that matrices can be written in. */
export const SAFETENSORS_WRITABLE_TYPES = ['F32', 'F16', 'BF16'] as const;
/** A type that matrices can be written in. */
export type SafetensorsWritableType = (typeof SAFETENSORS_WRITABLE_TYPES)[number];

/** What `writeSafetensorsModel` writes, and where to. */
export interface WriteModelOptions {
  readonly config: ModelConfigLike;
  readonly source: ParameterSource;
  /** The name of the family whose tensors are written. Default: the first that can express the model. */
  readonly family?: string | undefined;
  /** The type of the matrices. Norms, biases, A_log, D and the convolution are F32. */
  readonly type: SafetensorsWritableType;
  readonly sink: ByteSink;
  /** Called after each tensor. */
  readonly onProgress?: ((progress: WriteProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes a model as a `model.safetensors` with the names of its family, one parameter in memory at a time.
 * `modelConfigJson` makes the config that belongs to it.
 * @throws MambaError `invalid-argument` where an argument or a parameter is wrong or a weight does not fit the type,
 * `unsupported` where no family can express the model, `aborted`, and any error of the source and the sink. The sink is
 * aborted then.
 */
export async function writeSafetensorsModel(options: WriteModelOptions): Promise<{ readonly bytes: number }> {
  try {
    return await write(options);
  } catch (error) {
    await options.sink.abort();
    throw error;
  }
}

/**
 * The content of the `config.json` of a model, in the form of its family.
 * @param family The name of the family. Default: the first that can express the model, as for `writeSafetensorsModel`.
 * @throws MambaError `unsupported` where no family can.
 */
export function modelConfigJson(
  given: ModelConfigLike,
  { bos, eos }: SpecialTokens,
  family?: string | undefined,
): object {
  const config = listed(given);
  const { family: found, format } = folderFamily('modelConfigJson', config, family);
  return {
    ...identityJson(found),
    ...format.json(config),
    ...(bos !== undefined && { bos_token_id: bos }),
    ...(eos.length > 0 && { eos_token_id: eos.length === 1 ? eos[0] : eos }),
  };
}

async function write({
  config: given,
  source,
  family,
  type,
  sink,
  onProgress,
  signal,
}: WriteModelOptions): Promise<{ bytes: number }> {
  if (!SAFETENSORS_WRITABLE_TYPES.includes(type))
    throw invalid('writeSafetensorsModel.type', show(type), `one of ${SAFETENSORS_WRITABLE_TYPES.join(', ')}`);
  const config = listed(given);
  const { format } = folderFamily('writeSafetensorsModel', config, family);
  let size = 0;
  const plan = planTensors(modelParameters(config), format.tensors(config)).map((tensor) => {
    const dtype = tensor.parameter.role === 'matrix' ? type : 'F32';
    const begin = size;
    size += sizeOf(tensor.shape) * (dtype === 'F32' ? 4 : 2);
    return { ...tensor, dtype, begin, end: size };
  });
  const entries = plan.map(({ name, dtype, shape, begin, end }) => [
    name,
    { dtype, shape, data_offsets: [begin, end] },
  ]);
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const json = new TextEncoder().encode(text);
  const header = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(header.length - 8), true);
  header.set(json, 8);
  await sink.write(header);
  const totalBytes = header.length + size;
  const valuesOf = valueReader(async (parameter) => {
    const host = await source(parameter);
    if (host.dtype === 'int32' || !sameShape(host.shape, parameter.shape))
      throw invalid(
        `writeSafetensorsModel.source: ${parameter.name}`,
        host.dtype,
        `floats [${parameter.shape.join(', ')}]`,
      );
    return host;
  });
  for (const tensor of plan) {
    const { name, dtype, end } = tensor;
    if (signal?.aborted) throw new MambaError('aborted', `writing ${sink.name} was aborted`, { origin: sink.name });
    for await (const { host, first } of valuesOf(tensor)) await sink.write(encode(name, host, dtype, first));
    onProgress?.({ tensor: name, bytes: header.length + end, totalBytes });
  }
  await sink.close();
  return { bytes: totalBytes };
}

/** The wider types that a message may recommend, by their names in files. */
const FILE_TYPES = { float32: 'F32', bfloat16: 'BF16' };

const STORED = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const satisfies Readonly<
  Record<SafetensorsWritableType, DType>
>;

/** Encodes values. `first` is the row of the tensor that they begin with. */
function encode(name: string, host: HostTensor, type: SafetensorsWritableType, first: number): Uint8Array {
  checkFits(`writeSafetensorsModel.source: ${quote(name)}`, host, STORED[type], {
    names: { ...FILE_TYPES, type },
    first,
  });
  const floats = new Float32Array(host.data.length);
  copyFloats(host, floats);
  if (type === 'F32') return new Uint8Array(floats.buffer);
  const narrow = type === 'F16' ? numberToFloat16 : numberToBfloat16;
  return new Uint8Array(Uint16Array.from(floats, narrow).buffer);
}
