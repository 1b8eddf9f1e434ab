import { MambaError } from '@mamba/core';

/** @throws MambaError `aborted` if the signal has fired. */
export function checkSignal(origin: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new MambaError('aborted', `${origin} was aborted`, { origin, cause: signal.reason });
}
