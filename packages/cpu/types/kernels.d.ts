/**
 * The value of an import of the compiled kernels. It is an address, bytes or a module, depending on the loader, and
 * each of them suits the option `wasm`.
 */
import type { WasmSource } from '../dist/index.js';

declare const kernels: WasmSource;
export default kernels;
