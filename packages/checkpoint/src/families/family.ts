/**
 * A family is an architecture as files describe it. Elsewhere a model is a list of blocks; a family converts between
 * that list and `config.json` or GGUF metadata, and knows which tensors hold the parameters. A family is a file in this
 * folder and a line in `list.ts`. Readers and writers are generic over families.
 *
 * How a new family describes properties that no family so far has:
 * - Layers that differ (hybrids): `config` lists the blocks one by one, each with its own kind and sizes. A layer of
 *   the file that holds several blocks (mixer, then MLP) becomes several entries of the list, and the table's `layerOf`
 *   gives their number in the file. `refusal` tells which lists the format can express.
 * - A kind of block that core does not have yet: `unsupportedLayers` makes the error that names these layers.
 * - A tensor that holds several parameters (fused gate and up, q, k and v): each parameter has a part with its rows of
 *   the tensor.
 * - A parameter that several tensors hold: the parameter has several parts, in the order of their rows.
 * - Weights that layers share (Zamba2): their parameters name the same tensor, which is read for each of them and
 *   written once.
 * - Factors in a config that multiply weights (Falcon-H1), or norms that are stored minus one: a codec.
 * - Another order of axes (GPT-2's transposed matrices) or of rows (llama.cpp's rotary pairs): `transposed` and `pairs`
 *   of the part. Yet another order is a new property, which `stored/read.ts` and `stored/plan.ts` apply.
 * - Tensors that hold no parameter, such as masks: `buffers`.
 */
import type { HostTensor, ModelConfig, ParameterSpec, Shape } from '@mamba/core';
import type { Fields } from '../config/fields.ts';
import type { Metadata, TypedValue } from '../gguf/metadata.ts';
import type { TensorInfo } from '../safetensors/file.ts';

export interface Family {
  /** The name of the family, by which users choose the family to write. */
  readonly name: string;
  /** The format of `config.json` with tensors of safetensors or PyTorch. */
  readonly folder: FolderFormat;
  /** The format of a GGUF file; absent where llama.cpp has no such architecture. */
  readonly gguf?: GgufFormat | undefined;
}

/** The part that both formats of a family have. */
export interface Format {
  /** The reason why this format cannot express a model, in words that follow "the model"; undefined where it can. */
  refusal(config: ModelConfig): string | undefined;
  /**
   * The tensors that hold each parameter of a model that is not refused. It is called for `head` also where the head is
   * tied, since files may hold it nevertheless.
   */
  tensors(config: ModelConfig): (parameter: ParameterSpec) => Stored;
}

export interface FolderFormat extends Format {
  /** Identifies the `config.json` of this family. */
  readonly identity: Identity;
  /**
   * Parses a `config.json`. Sizes are required; everything else has the defaults of the software that writes such
   * files.
   * @throws MambaError `invalid-file` naming the field that is missing, absurd or contradicts another; `unsupported`
   * for what is not implemented.
   */
  config(fields: Fields): ModelConfig;
  /** The content of a `config.json` for this config, without the ids of special tokens. */
  json(config: ModelConfig): object;
  /** The prefix of the names of all tensors but the head: `backbone.`. */
  readonly base: string;
  /** Other names that files use for tensors, each with the name that `tensors` gives. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  /** Names of tensors that files may have beside the parameters, and that are not read. Default: none. */
  readonly buffers?: RegExp | undefined;
  /** The field that tells whether the head is the embedding. */
  readonly tiedField: string;
}

/**
 * The identification of a family: by `model_type`, as in configs of transformers, or by the fields of a layout that has
 * none.
 */
export type Identity =
  | {
      readonly modelType: string;
      /** The classes that `architectures` may name. The first one is written. */
      readonly architectures: readonly [string, ...string[]];
    }
  | {
      /** The layout in words, for messages. */
      readonly layout: string;
      matches(fields: Fields): boolean;
    };

export interface GgufFormat extends Format {
  /** `general.architecture`. Families of the same architecture share one format, as Mamba and Falcon-Mamba do. */
  readonly architecture: string;
  /** Reads the config of a file. Throws as `FolderFormat.config` does. */
  config(file: GgufView): ModelConfig;
  /** The entries of the architecture, which follow those of `general.…`. */
  metadata(config: ModelConfig): readonly (readonly [string, TypedValue])[];
  /**
   * The properties of a model that llama.cpp cannot load, or computes differently, in words; empty where it does
   * neither.
   */
  llamaCppLimits(config: ModelConfig): readonly string[];
}

/** The header of a GGUF file. */
export interface GgufView {
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** The form in which a file holds one parameter. */
export interface Stored {
  /** The parts of the parameter, from its first row to its last. Most parameters have one part, a whole tensor. */
  readonly parts: readonly StoredPart[];
  /** The conversion of stored values. Default: none. */
  readonly codec?: Codec | undefined;
  /** Refuses implausible stored values, before they are decoded. */
  readonly check?: ((origin: string, stored: HostTensor) => void) | undefined;
}

/** Some rows of a tensor, which are the indices of its first axis. The rows of a vector are its elements. */
export interface StoredPart {
  readonly tensor: string;
  /** The shape of the whole tensor in the file. */
  readonly shape: Shape;
  readonly first: number;
  readonly count: number;
  /**
   * Whether the tensor holds the transposed matrix, `[inputs, outputs]`: `first` and `count` are then of its columns.
   * Default false.
   */
  readonly transposed?: boolean | undefined;
  /**
   * The tensor has another order within each stretch of this many rows: one of the first half and one of the second in
   * turn. Default: the parameter's own order.
   */
  readonly pairs?: number | undefined;
}

/** Converts between values as they are stored and as they are used, in float64. */
export interface Codec {
  decode(stored: number): number;
  encode(value: number): number;
}
