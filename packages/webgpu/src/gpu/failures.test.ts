import { expect, test } from 'vitest';
import { said } from './failures.ts';

// As Dawn writes them.
test.each([
  [
    'Value 65535 is invalid for WGPUBufferUsage.\n - While calling [Device].CreateBuffer([BufferDescriptor ""x""]).\n',
    'Value 65535 is invalid for WGPUBufferUsage',
  ],
  [
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY\n' +
      '    at CheckVkOOMThenSuccessImpl (dawn/src/dawn/native/vulkan/VulkanError.cpp:134)\n' +
      '    at Create (dawn/src/dawn/native/vulkan/ResourceHeapVk.cpp:53)\n',
    'vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY',
  ],
  [
    "Error while parsing WGSL: :1:7 error: expected ')'\nfn f( {\n      ^\n\n\n" +
      ' - While calling [Device].CreateShaderModule().',
    "Error while parsing WGSL: :1:7 error: expected ')'\nfn f( {\n      ^",
  ],
  ['', ''],
])('of a message of the device, what helps a user: %j', (message, expected) => {
  expect(said(message)).toBe(expected);
});
