import { join } from 'node:path';
import process from 'node:process';
import { type Browser, chromium } from 'playwright-core';
import { unpacked } from './archives.ts';

/** Flags for WebGPU on SwiftShader, and against requests of the browser to its maker. */
export const CHROMIUM_FLAGS: readonly string[] = [
  '--headless',
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-angle=swiftshader',
  '--ignore-gpu-blocklist',
  // Without this flag SwiftShader takes seconds for each kernel, as @mamba/webgpu's src/gpu/platform-node.ts explains.
  '--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension',
  // Pages are drawn without the GPU, whose every frame SwiftShader would compute as well.
  '--disable-gpu-compositing',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Launches a headless Chromium with WebGPU in software. The caller closes it.
 * @param options.signals Whether SIGINT, SIGTERM and SIGHUP close it and end this process; false for those who handle
 * them. Default true.
 */
export function launchChromium(
  flags: readonly string[] = [],
  { signals = true }: { readonly signals?: boolean } = {},
): Promise<Browser> {
  // Chromium looks for SwiftShader beside itself.
  const folder = unpacked('chromium', ['chromium.br', 'swiftshader.tar.br', 'al2023.tar.br']);
  return chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: [...CHROMIUM_FLAGS, ...flags],
    handleSIGINT: signals,
    handleSIGTERM: signals,
    handleSIGHUP: signals,
    env: { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') },
  });
}
