/** Where the compiled kernels come from: bytes, a compiled module, or a URL to fetch; the inlined ones if absent. */
export type WasmSource = WasmBytes | WebAssembly.Module;
export type WasmBytes = Uint8Array | ArrayBuffer | URL | string;
