/** The public API: the backend as a provider, which `selectBackend` of @mamba/core takes, and the suite. */
import type { BackendProvider } from '@mamba/core';
import { createBackend } from '@mamba/core/driver';
import { createDriver } from './driver.ts';

/** Where a device may be missing, `create` rejects with `MambaError('unavailable', …)`, which says what is missing. */
export function mine(): BackendProvider {
  return { name: 'mine', create: async () => createBackend(createDriver('mine')) };
}
