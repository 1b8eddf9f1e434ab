/**
 * The entry point for packages that build on core, as checkpoint and lm do: checks of arguments, conversions of floats,
 * checks that values fit a dtype, scopes of tensors, and the slots of a model's state.
 * @module
 */
export { yieldToEventLoop } from './backend/event-loop.ts';
export { disposeAll, Scope, scoped } from './backend/scope.ts';
export { type Appended, appendRows, offsetsOf } from './blocks/growing.ts';
export { mamba2Widths } from './blocks/mamba2/config.ts';
export { isGated } from './blocks/mlp/config.ts';
export { slotShape } from './blocks/state.ts';
export { invalid, messageWithHelp } from './contract/errors.ts';
export { sameShape, sizeOf } from './contract/tensor.ts';
export { beyondRms } from './model/config.ts';
export { modelSlots, stateBytes, stateGrows } from './model/slots.ts';
export { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from './operations/check.ts';
export { checkFits, expectationOf, holds, misfit } from './tensor/fits.ts';
export {
  bfloat16ToNumber,
  copyFloats,
  float16ToNumber,
  narrowFloats,
  numberToBfloat16,
  numberToFloat16,
} from './tensor/floats.ts';
