import { type Context, createContext, Script } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { MambaError } from '@mamba/core';
import { type Bounds, type BoundsWatcher, outOfTime } from './bounds.ts';

/** Runs a function of this realm where V8 ends what takes too long, the middle of a regular expression included. */
const script = new Script('act()');
let context: Context | undefined;

/**
 * What `act` gives, which is code of a stranger, or works for it: it ends at the latest after `milliseconds`.
 * @throws MambaError `invalid-file` where it takes too long, `aborted` where it was interrupted.
 */
export function bounded<T>({ origin, milliseconds, remedy, interruptible }: Bounds, act: () => T): T {
  context ??= createContext({});
  let result: { readonly value: T } | undefined;
  context.act = () => {
    result = { value: act() };
  };
  const breakOnSigint = interruptible === true && isMainThread && process.listenerCount('SIGINT') > 0;
  try {
    script.runInContext(context, { timeout: Math.ceil(milliseconds), breakOnSigint });
  } catch (cause) {
    const { code } = (cause ?? {}) as { readonly code?: unknown };
    if (code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw outOfTime({ origin, milliseconds, remedy }, cause);
    if (code !== 'ERR_SCRIPT_EXECUTION_INTERRUPTED') throw cause;
    process.emit('SIGINT', 'SIGINT');
    throw new MambaError('aborted', `${origin} was interrupted`, { origin, cause });
  }
  return result!.value;
}

/** Nobody has to watch: the work is ended here. */
export function watchBounds(_watcher: BoundsWatcher): () => void {
  return () => {};
}
