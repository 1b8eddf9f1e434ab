import type { Backend, BackendProvider } from '../contract/backend.ts';
import { invalid, isMambaError, MambaError } from '../contract/errors.ts';

/**
 * The first backend that runs here, in the order given: `await selectBackend([webgpu(), cpu()])`.
 * @throws MambaError `unavailable` if none runs; it names every backend's reason.
 */
export async function selectBackend(providers: readonly BackendProvider[]): Promise<Backend> {
  if (!Array.isArray(providers) || providers.length === 0)
    throw invalid('selectBackend', 'no backend', 'at least one, as in selectBackend([cpu()])');
  const reasons: string[] = [];
  for (const provider of providers) {
    try {
      return await provider.create();
    } catch (error) {
      if (!isMambaError(error, 'unavailable')) throw error;
      reasons.push(`${provider.name}: ${error.message}`);
    }
  }
  throw new MambaError('unavailable', `no backend runs here. ${reasons.join(' ')}`, { origin: 'selectBackend' });
}
