/**
 * Has every device of this process, or page, compile a pipeline when it is first used. `createModel` compiles all that
 * a model may ever need, which takes SwiftShader seconds a model. It is tested where it matters: in model.test.ts and
 * on the example page.
 */
export function compileLazily(globals: object): void {
  const { GPUDevice } = globals as { readonly GPUDevice: { readonly prototype: GPUDevice } };
  // What cannot be prepared is made when it is needed.
  GPUDevice.prototype.createComputePipelineAsync = () => Promise.reject(new Error('is not prepared'));
}
