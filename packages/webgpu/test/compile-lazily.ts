/**
 * Makes every device of this process, or page, compile a pipeline only when it is first used. `createModel` compiles
 * all pipelines that a model may need, which takes seconds on SwiftShader. That is tested in model.test.ts and, in a
 * browser, by playground.test.ts of apps/playground.
 */
export function compileLazily(globals: object): void {
  const prototype = prototypeOf(globals);
  ahead ??= prototype.createComputePipelineAsync;
  // A pipeline that cannot be prepared is made when it is needed.
  prototype.createComputePipelineAsync = () => Promise.reject(new Error('is not prepared'));
}

/** Undoes `compileLazily`. */
export function compileAhead(globals: object): void {
  if (ahead !== undefined) prototypeOf(globals).createComputePipelineAsync = ahead;
}

/** What a device does by itself, once it has been replaced. */
let ahead: GPUDevice['createComputePipelineAsync'] | undefined;

function prototypeOf(globals: object): GPUDevice {
  const { GPUDevice } = globals as { readonly GPUDevice: { readonly prototype: GPUDevice } };
  return GPUDevice.prototype;
}
