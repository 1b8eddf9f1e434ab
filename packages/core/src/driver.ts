/** For authors of a backend: the driver that they write, and what core gives them for it. */
export { createBackend } from './backend/create-backend.ts';
export { Scope, scoped } from './backend/scope.ts';
export { composeBlock } from './block/compose.ts';
export type { BlockCall, BlockConfig, BlockKernel, BlockResult, BlockState, BlockWeights } from './block/contract.ts';
export { supported, unsupported } from './contract/capability.ts';
export type * from './contract/driver.ts';
export { invalid } from './contract/errors.ts';
export { sameShape, sizeOf } from './contract/tensor.ts';
export { composeModel } from './model/compose.ts';
export type * from './model/contract.ts';
export { checkBoolean, checkNumber, checkOneOf, checkOptions } from './operations/check.ts';
export type * from './operations/index.ts';
export { checkFits, expectationOf, holds, misfit } from './tensor/fits.ts';
export { bfloat16ToNumber, copyFloats, float16ToNumber, numberToBfloat16, numberToFloat16 } from './tensor/floats.ts';
