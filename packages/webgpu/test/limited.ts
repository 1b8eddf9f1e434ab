/** The device with other limits in `limits`. */
export function limited(device: GPUDevice, limits: Record<string, number>): GPUDevice {
  const over = <T extends object>(target: T, replaced: Record<PropertyKey, unknown>): T =>
    new Proxy(target, {
      get(object, key) {
        if (key in replaced) return replaced[key];
        const value = Reflect.get(object, key) as unknown;
        return typeof value === 'function' ? value.bind(object) : value;
      },
    });
  return over(device, { limits: over(device.limits, limits) });
}
