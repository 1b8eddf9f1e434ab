/**
 * What an import of the compiled kernels gives, by whatever loads them: an address, bytes or a module, each of them for
 * the option `wasm`.
 */
import type { WasmSource } from '../dist/index.js';

declare const kernels: WasmSource;
export default kernels;
