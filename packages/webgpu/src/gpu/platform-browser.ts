import type { Toggles } from './toggles.ts';

/**
 * WebGPU of a browser, or of any engine with `navigator.gpu`. The `imports` conditions of package.json choose this
 * file.
 */
export async function platformGpu(toggles: Toggles): Promise<GPU | undefined> {
  if (toggles.enable.length + toggles.disable.length > 0) return undefined;
  return globalThis.navigator?.gpu;
}

/** The advice for a user who gets no adapter. */
export function platformRemedy(gpu: GPU | undefined): string {
  if (gpu === undefined && globalThis.isSecureContext === false)
    return 'WebGPU needs a secure page: serve it over https, or from localhost.';
  if (gpu === undefined && globalThis.navigator?.gpu !== undefined)
    return 'A page cannot set toggles of Dawn: leave them out.';
  if (gpu === undefined) return 'Take a browser with WebGPU (Chrome or Edge 113, Safari 26, Firefox 141, or newer).';
  return 'The browser found no GPU that it trusts: turn hardware acceleration on, update the driver, and see chrome://gpu or about:support.';
}

/** Toggles for an adapter in software. A page cannot set any. */
export const SOFTWARE_TOGGLES: Toggles | undefined = undefined;
