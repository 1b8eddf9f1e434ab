/**
 * For packages that build on core, as checkpoints and language models do: checks of arguments, floats as bits, what
 * fits a dtype, tensors of a scope, and what a model remembers.
 */
export { Scope, scoped } from './backend/scope.ts';
export { isGated } from './blocks/mlp/config.ts';
export { slotShape } from './blocks/state.ts';
export { invalid } from './contract/errors.ts';
export { sameShape, sizeOf } from './contract/tensor.ts';
export { beyondRms } from './model/config.ts';
export { modelSlots, stateGrows } from './model/slots.ts';
export { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from './operations/check.ts';
export { checkFits, expectationOf, holds, misfit } from './tensor/fits.ts';
export { bfloat16ToNumber, copyFloats, float16ToNumber, numberToBfloat16, numberToFloat16 } from './tensor/floats.ts';
