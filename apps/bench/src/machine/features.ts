/** The features of WebAssembly here: each is tested by validating the smallest module that needs it. */
export function wasmFeatures(): { simd: boolean; relaxedSimd: boolean; threads: boolean } {
  // (func (drop (v128.const …))) and (func (drop (f32x4.relaxed_madd c c c))), in the body of one function.
  const constant = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
  const simd = moduleOf([...constant, 0x1a]);
  const relaxed = moduleOf([...constant, ...constant, ...constant, 0xfd, 0x85, 0x02, 0x1a]);
  return {
    simd: WebAssembly.validate(simd),
    relaxedSimd: WebAssembly.validate(relaxed),
    threads: typeof SharedArrayBuffer === 'function',
  };
}

/** A module with one function of no parameters, no results and this body. */
function moduleOf(body: readonly number[]): Uint8Array<ArrayBuffer> {
  const code = [0x00, ...body, 0x0b];
  return Uint8Array.of(
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00],
    ...[0x03, 0x02, 0x01, 0x00],
    ...[0x0a, code.length + 2, 0x01, code.length, ...code],
  );
}
