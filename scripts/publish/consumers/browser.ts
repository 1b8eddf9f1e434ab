// A project with DOM and WebGPU passes a device, and a compiled module.
import { cpu } from '@mamba/cpu';
import { webgpu } from '@mamba/webgpu';

declare const device: GPUDevice;
export const providers = [webgpu({ device }), cpu({ wasm: await WebAssembly.compile(new Uint8Array(8)) })];
// @ts-expect-error A thing that is no device.
webgpu({ device: {} });
