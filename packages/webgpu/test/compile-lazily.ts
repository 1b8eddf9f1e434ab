/**
 * Makes every device of this process, or page, compile a pipeline only when it is first used. `createModel` compiles
 * all pipelines that a model may need, which takes seconds on SwiftShader. That is tested in model.test.ts and on the
 * example page.
 */
export function compileLazily(globals: object): void {
  const { GPUDevice } = globals as { readonly GPUDevice: { readonly prototype: GPUDevice } };
  // A pipeline that cannot be prepared is made when it is needed.
  GPUDevice.prototype.createComputePipelineAsync = () => Promise.reject(new Error('is not prepared'));
}
