import type { Toggles } from './toggles.ts';

/**
 * Loads Dawn's bindings, an optional peer dependency. A `navigator.gpu` of the engine's own (Deno, Bun) is preferred.
 */
export async function platformGpu({ enable, disable }: Toggles): Promise<GPU | undefined> {
  const plain = enable.length + disable.length === 0;
  const native = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (plain && native !== undefined) return native;
  const flags: string[] = [];
  if (enable.length > 0) flags.push(`enable-dawn-features=${enable.join(',')}`);
  if (disable.length > 0) flags.push(`disable-dawn-features=${disable.join(',')}`);
  const bindings = await dawn();
  if (bindings === undefined) return undefined;
  const key = flags.join(' ');
  const made = instances.get(key) ?? bindings.create(flags);
  instances.set(key, made);
  return made;
}

/**
 * One instance of Dawn for each set of flags, for the life of the process: the bindings call an instance from scheduled
 * callbacks that do not own it, so one that was collected would crash the process. An instance does not keep Node
 * alive.
 */
const instances = new Map<string, GPU>();

/**
 * Toggles for an adapter in software. SwiftShader takes seconds to compile a kernel whose workgroup memory a Vulkan
 * extension zeroes, since it writes one store for each element. Without the extension Dawn writes a loop; values are
 * the same.
 */
export const SOFTWARE_TOGGLES: Toggles | undefined = {
  enable: [],
  disable: ['use_vulkan_zero_initialize_workgroup_memory_extension'],
};

export function platformRemedy(gpu: GPU | undefined): string {
  if (gpu === undefined) return 'Install the bindings: npm install webgpu.';
  return 'Dawn found no driver: on Linux install a Vulkan driver (NVIDIA, mesa-vulkan-drivers) and libvulkan1, and see vulkaninfo; in a container pass the GPU through.';
}

interface Dawn {
  create(flags: string[]): GPU;
}

async function dawn(): Promise<Dawn | undefined> {
  try {
    return (await import('webgpu')) as Dawn;
  } catch {
    return undefined;
  }
}
