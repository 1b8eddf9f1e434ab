/**
 * The public API: the contract, and blocks and models composed of it. `@mamba/core/driver` is for authors of a backend,
 * and `@mamba/core/toolkit` for packages that build on core.
 * @module
 */
export { selectBackend } from './backend/select-backend.ts';
export type { AttentionConfig, RopeConfig } from './blocks/attention/config.ts';
export type { AttentionWeights } from './blocks/attention/parameters.ts';
export {
  type Block,
  type BlockForwardOptions,
  blockConfig,
  createBlock,
  type StandaloneBlock,
  type StandaloneMamba,
} from './blocks/block.ts';
export type * from './blocks/contract.ts';
export type * from './blocks/kinds.ts';
export { defineBlock } from './blocks/kinds.ts';
export { type MambaConfig, mambaSizes } from './blocks/mamba/config.ts';
export type { MambaState, MambaWeights } from './blocks/mamba/parameters.ts';
export type { Mamba2Config } from './blocks/mamba2/config.ts';
export type { Mamba2Weights } from './blocks/mamba2/parameters.ts';
export type { MlpConfig } from './blocks/mlp/config.ts';
export type { MlpWeights } from './blocks/mlp/parameters.ts';
export type {
  Backend,
  BackendDetails,
  BackendProvider,
  CallArguments,
  MemoryUse,
  UploadOptions,
  UploadRowsOptions,
} from './contract/backend.ts';
export type { Support } from './contract/capability.ts';
export type { Capture, CaptureFunction, CaptureInput } from './contract/capture.ts';
export { type ErrorCode, type ErrorDetails, invalid, isMambaError, MambaError } from './contract/errors.ts';
export type * from './contract/operations.ts';
export type {
  DType,
  HostArray,
  HostRows,
  HostTensor,
  IntegerRange,
  Precision,
  Shape,
  Tensor,
  TensorSpec,
} from './contract/tensor.ts';
export { sizeOf } from './contract/tensor.ts';
export { blocksOf, MAMBA_SIZES, type ModelConfigLike, type ModelSizes, modelConfig } from './model/config.ts';
export type {
  LayerSnapshot,
  LayerWeights,
  LogitsRequest,
  ModelConfig,
  ModelParameter,
  ModelWeights,
  Multipliers,
  ParameterKey,
  ParameterSource,
  ParameterSpec,
  UniformMambaConfig,
} from './model/contract.ts';
export { type CreateModelOptions, createModel } from './model/create-model.ts';
export { BYTES_PER_WEIGHT, checkModelFits } from './model/fits.ts';
export {
  type DecodeOptions,
  type DecodeResult,
  type ForwardOptions,
  type ForwardResult,
  Model,
  ModelState,
  type TokenIds,
} from './model/model.ts';
export { modelParameters, parameterCount } from './model/parameters.ts';
export {
  decodeSnapshot,
  decodeSnapshotHeader,
  encodeSnapshot,
  type SnapshotBlock,
  type StateSnapshot,
  type StateSnapshotV1,
} from './model/snapshot.ts';
export { adamwRates } from './operations/adamw.ts';
