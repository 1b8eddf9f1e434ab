/** The source of the compiled kernels: bytes, a compiled module, or a URL to fetch; if absent, the inlined ones. */
export type WasmSource = WasmBytes | WebAssembly.Module;
export type WasmBytes = Uint8Array | ArrayBuffer | URL | string;
