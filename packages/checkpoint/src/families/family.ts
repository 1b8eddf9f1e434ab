/**
 * A family of models is an architecture as files hold it. Everywhere else a model is a list of blocks; only its family
 * knows which `config.json` or GGUF metadata that list comes from and goes to, and which tensors hold its parameters.
 * A family is a file in this folder and a line in `list.ts`. Readers and writers are generic over the list.
 *
 * How to say what the families so far did not need:
 * - Layers that differ (hybrids): `config` lists the blocks one by one, each with its own kind and sizes. A layer of
 *   the file that holds several blocks (mixer, then MLP) becomes several entries of the list, and the table's `layerOf`
 *   gives their number in the file. `refusal` says which lists the family has a way to write down.
 * - A kind of block that core does not have yet: `unsupportedLayers` names the layers, until the kind is there.
 * - A tensor that holds several parameters (fused gate and up, q, k and v): each of them has a part with its rows.
 * - A parameter that several tensors hold: it has several parts, one below the other.
 * - Weights that layers share (Zamba2): their parameters name the same tensor. It is read for each, and written once.
 * - Factors that a config keeps apart from the weights (Falcon-H1's multipliers), norms stored less one: a codec.
 * - Another order of axes (GPT-2's transposed matrices) or of rows: nothing has it yet. It is one more property of
 *   `StoredPart`, for `stored/read.ts` to undo and for `stored/plan.ts` to do.
 */
import type { HostTensor, ModelConfig, ParameterSpec, Shape } from '@mamba/core';
import type { Fields } from '../config/fields.ts';
import type { Metadata, TypedValue } from '../gguf/metadata.ts';
import type { TensorInfo } from '../safetensors/file.ts';

export interface Family {
  /** Name of its file, and for those who choose a family to write. */
  readonly name: string;
  /** As `config.json` with the tensors of safetensors or PyTorch. */
  readonly folder: FolderFormat;
  /** As a GGUF file. Absent: llama.cpp has no architecture of this family. */
  readonly gguf?: GgufFormat | undefined;
}

/** What both formats of a family say. */
export interface Format {
  /** Why this format has no way to write a model down, in words that follow "the model"; undefined where it has one. */
  refusal(config: ModelConfig): string | undefined;
  /**
   * Where each parameter lies, of a model that is not refused. It is asked for `head` also where that is tied, since
   * files may hold it nevertheless.
   */
  tensors(config: ModelConfig): (parameter: ParameterSpec) => Stored;
}

export interface FolderFormat extends Format {
  /** Which `config.json` is meant. */
  readonly identity: Identity;
  /**
   * The model that a `config.json` describes. Sizes must be there; everything else has the defaults of whoever wrote
   * the file.
   * @throws MambaError `invalid-file` naming the field that is missing, absurd or contradicts another; `unsupported`
   * for what is not there yet.
   */
  config(fields: Fields): ModelConfig;
  /** Content of the `config.json` that says the same, but for the ids of special tokens. */
  json(config: ModelConfig): object;
  /** What names of tensors begin with, but for the head's: `backbone.`. */
  readonly base: string;
  /** Other names that tensors may have, each with the name that `tensors` gives. */
  readonly aliases?: Readonly<Record<string, string>> | undefined;
  /** The field that says whether the head is the embedding. */
  readonly tiedField: string;
}

/** Transformers' configs say their `model_type`; a layout without one is told by its fields. */
export type Identity =
  | {
      readonly modelType: string;
      /** Classes that `architectures` may name; the first one is written. */
      readonly architectures: readonly [string, ...string[]];
    }
  | {
      /** In words, for messages. */
      readonly layout: string;
      matches(fields: Fields): boolean;
    };

export interface GgufFormat extends Format {
  /** `general.architecture`. Families of the same architecture share one format, as Mamba and Falcon-Mamba do. */
  readonly architecture: string;
  /** The model that a file describes. Throws as `FolderFormat.config` does. */
  config(file: GgufView): ModelConfig;
  /** Entries of the architecture's own, which follow `general.…`. */
  metadata(config: ModelConfig): readonly (readonly [string, TypedValue])[];
  /** What llama.cpp cannot load of a model, or computes otherwise, in words; empty where it reads it as it is meant. */
  llamaCppLimits(config: ModelConfig): readonly string[];
}

/** A GGUF file's header. */
export interface GgufView {
  readonly metadata: Metadata;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** How one parameter lies in a file. */
export interface Stored {
  /** What it is made of, from its first row to its last: mostly one tensor as a whole. */
  readonly parts: readonly StoredPart[];
  /** Absent: values are stored as they are. */
  readonly codec?: Codec | undefined;
  /** Refuses values that must have been stored in another way, before they are decoded. */
  readonly check?: ((origin: string, stored: HostTensor) => void) | undefined;
}

/** Some rows of a tensor. A row is what has one index on the first axis; a vector's rows are its elements. */
export interface StoredPart {
  readonly tensor: string;
  /** Shape of the whole tensor in the file. */
  readonly shape: Shape;
  readonly first: number;
  readonly count: number;
}

/** One value as it is stored, and as it is used; both are computed in float64. */
export interface Codec {
  decode(stored: number): number;
  encode(value: number): number;
}
