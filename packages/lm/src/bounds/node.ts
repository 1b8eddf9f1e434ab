import { type Context, createContext, Script } from 'node:vm';
import { isMainThread } from 'node:worker_threads';
import { MambaError } from '@mamba/core';
import { type Bounds, type BoundsWatcher, outOfTime } from './bounds.ts';

/** Calls a function of this realm within `vm`, whose timeout interrupts even a regular expression. */
const script = new Script('act()');
let context: Context | undefined;

/**
 * Runs code of a checkpoint, or code that calls it, for at most `milliseconds`.
 * @returns what `act` returns.
 * @throws MambaError `invalid-file` if it exceeds the limit, `aborted` if it was interrupted; and what `act` throws.
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

/** Never calls the watcher: in Node `bounded` enforces the limit itself. */
export function watchBounds(_watcher: BoundsWatcher): () => void {
  return () => {};
}
