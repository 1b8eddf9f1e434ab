import { MATRIX_FEATURES } from '../src/operations/matrix-units.ts';
import type { DeviceFacts } from './recording-device.ts';

/** What an H100 says of itself through Dawn and Vulkan, as far as layouts of kernels follow from it. */
export const H100 = {
  limits: {
    maxStorageBufferBindingSize: 2 ** 31 - 4,
    maxBufferSize: 2 ** 38,
    maxComputeWorkgroupStorageSize: 49_152,
    maxComputeInvocationsPerWorkgroup: 1024,
    maxComputeWorkgroupSizeX: 1024,
    maxComputeWorkgroupsPerDimension: 65_535,
    maxStorageBuffersPerShaderStage: 10,
    minUniformBufferOffsetAlignment: 256,
  },
  features: new Set(['subgroups', ...MATRIX_FEATURES]),
  adapterInfo: {
    subgroupMinSize: 32,
    subgroupMaxSize: 32,
    subgroupMatrixConfigs: [{ componentType: 'f16', resultComponentType: 'f32', M: 16, N: 16, K: 16 }],
  },
} as unknown as DeviceFacts;
