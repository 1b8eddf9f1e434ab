/**
 * The name of an adapter for people. Dawn tells a model as `device` (nvidia-h100-80gb-hbm3) and a driver's version as
 * `description`. Browsers hide the model, or tell a number; some tell nothing at all.
 * @param info Fields may be missing where a device comes from elsewhere.
 * @returns '' where nothing is told
 */
export function adapterName({ vendor = '', architecture = '', device = '', description = '' }: Info): string {
  const model = device !== '' && !device.startsWith('0x');
  // SwiftShader's device is no model: it ends with what compiles its kernels.
  if (!model || architecture === 'swiftshader') return words(vendor, architecture, description);
  return device.startsWith(vendor) ? device : words(vendor, device);
}

type Info = Partial<Pick<GPUAdapterInfo, 'vendor' | 'architecture' | 'device' | 'description'>>;

function words(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' ');
}
