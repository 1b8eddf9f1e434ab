import { expect, test } from 'vitest';
import { adapterName } from './adapter-name.ts';

test.each([
  [['nvidia', '', 'nvidia-h100-80gb-hbm3', 'NVIDIA: 580.159.04'], 'nvidia-h100-80gb-hbm3'],
  [['intel', 'gen-12lp', 'iris-xe', 'Mesa 25.1'], 'intel iris-xe'],
  [
    ['google', 'swiftshader', 'swiftshader-device-subzero-', 'SwiftShader driver 5.0.0'],
    'google swiftshader SwiftShader driver 5.0.0',
  ],
  [['apple', 'metal-3', '', ''], 'apple metal-3'],
  [['nvidia', 'ampere', '0x2204', ''], 'nvidia ampere'],
  [['', '', '', ''], ''],
] as const)('of %j is %j', ([vendor, architecture, device, description], expected) => {
  expect(adapterName({ vendor, architecture, device, description })).toBe(expected);
});

test('of a device that tells no information is empty', () => {
  expect(adapterName({})).toBe('');
});
