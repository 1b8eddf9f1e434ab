import { join } from 'node:path';
import process from 'node:process';
import { unpacked } from './archives.ts';

/**
 * Puts SwiftShader, a Vulkan driver in software, and the Vulkan loader into `environment`, for Dawn in a process that
 * is started with it: LD_LIBRARY_PATH is read as a process starts. Does nothing where a driver is named already, since
 * a real GPU is preferred, and nothing except on Linux x64. Returns whether SwiftShader will be used.
 */
export function useSwiftShader(environment: NodeJS.ProcessEnv = process.env): boolean {
  if (environment.VK_ICD_FILENAMES !== undefined || environment.VK_DRIVER_FILES !== undefined) return false;
  if (process.platform !== 'linux' || process.arch !== 'x64') return false;
  const folder = unpacked('swiftshader', ['swiftshader.tar.br']);
  const driver = join(folder, 'vk_swiftshader_icd.json');
  environment.VK_ICD_FILENAMES = driver;
  environment.VK_DRIVER_FILES = driver;
  environment.LD_LIBRARY_PATH = [folder, environment.LD_LIBRARY_PATH].filter(Boolean).join(':');
  for (const [name, bytes] of Object.entries(MALLOC)) environment[name] ??= String(bytes);
  return true;
}

/**
 * SwiftShader's compiler takes and frees hundreds of megabytes for each kernel. These settings of glibc (man mallopt)
 * keep what is freed in the process, where the kernel of the system would have to clear every page again: compiling
 * takes a quarter less of the processor.
 */
const MALLOC = {
  MALLOC_TRIM_THRESHOLD_: 2 ** 32,
  MALLOC_MMAP_THRESHOLD_: 2 ** 25,
  MALLOC_TOP_PAD_: 2 ** 26,
} as const;
