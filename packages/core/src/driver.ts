/**
 * The entry point for authors of a backend: the driver that they write, and helpers for it, with those of
 * `@mamba/core/toolkit`.
 * @module
 */
export { createBackend } from './backend/create-backend.ts';
export type * from './backend/driver.ts';
export { type AttentionConfig, kvHeadsOf, type RopeConfig } from './blocks/attention/config.ts';
export { type AttentionWeights, attentionState } from './blocks/attention/parameters.ts';
export { type Reach, reachOf } from './blocks/attention/reach.ts';
export { composedBlock } from './blocks/block.ts';
export type * from './blocks/contract.ts';
export { extendRows, type SlotMemory, uniform } from './blocks/growing.ts';
export type * from './blocks/kinds.ts';
export { blockDefinition } from './blocks/kinds.ts';
export type { MambaConfig } from './blocks/mamba/config.ts';
export type { MambaWeights } from './blocks/mamba/parameters.ts';
export type { Mamba2Config } from './blocks/mamba2/config.ts';
export type { Mamba2Weights } from './blocks/mamba2/parameters.ts';
export type { MlpConfig } from './blocks/mlp/config.ts';
export type { MlpWeights } from './blocks/mlp/parameters.ts';
export { donatedSlot, exactSlot } from './blocks/state.ts';
export { isZero } from './blocks/zeros.ts';
export { supported, unsupported } from './contract/capability.ts';
export { ComposedState, composeDecode, composeModel } from './model/compose.ts';
export { multiplies, resolveModelConfig } from './model/config.ts';
export type * from './model/contract.ts';
export { assembleWeights } from './model/parameters.ts';
export * from './model/walk.ts';
export { resolveAttention } from './operations/attention.ts';
export type * from './operations/index.ts';
export { resolveRope } from './operations/rope.ts';
export { OPERATIONS } from './operations/table.ts';
export * from './toolkit.ts';
