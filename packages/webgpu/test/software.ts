import type { BackendProvider } from '@mamba/core';
import { type WebGpuOptions, webgpu } from '../src/index.ts';

/**
 * The backend as tests make it. SwiftShader compiles the zero-initialisation of workgroup memory to one store an element where a
 * Vulkan extension does it: seconds a kernel. Without that extension Dawn writes a loop; values are the same.
 */
export function software(options: WebGpuOptions = {}): BackendProvider {
  return webgpu({
    toggles: { enable: [], disable: ['use_vulkan_zero_initialize_workgroup_memory_extension'] },
    ...options,
  });
}
