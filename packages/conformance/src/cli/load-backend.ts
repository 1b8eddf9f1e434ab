/** Loads the backend that `--backend` names. */
import { type Backend, type BackendProvider, MambaError } from '@mamba/core';
import { importModule, isMissing, type Module } from './import-module.ts';

/**
 * Creates a backend. `cpu` means the export `cpu` of `@mamba/cpu`. A path or another specifier names a module whose
 * default export, or only suitable export, is a provider, a factory of one, or a function that returns a backend.
 * @throws MambaError `unavailable` where the module cannot be loaded or the backend does not run here,
 * `invalid-argument` where the module exports no backend.
 */
export async function loadBackend(given: string): Promise<Backend> {
  const named = /^[a-z][a-z0-9-]*$/.test(given);
  const module = await load(given, named ? `@mamba/${given}` : given);
  const candidates = named
    ? [module[given.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())], module.default]
    : [module.default, ...Object.values(module)];
  for (const candidate of candidates) {
    const backend = await toBackend(candidate);
    if (backend !== undefined) return backend;
  }
  throw new MambaError('invalid-argument', `${given} exports no backend`, {
    origin: '--backend',
    given: `exports ${Object.keys(module).join(', ') || 'of nothing'}`,
    expected: 'a provider with create(), or a function that gives one',
  });
}

async function load(given: string, specifier: string): Promise<Module> {
  try {
    return await importModule(specifier);
  } catch (cause) {
    throw new MambaError('unavailable', `the backend ${given} cannot be loaded`, {
      origin: '--backend',
      given: isMissing(cause, specifier)
        ? `no module ${specifier}`
        : cause instanceof Error
          ? cause.message
          : String(cause),
      remedy: 'Name one of those that are installed (reference, cpu, webgpu), or give the path of a module.',
      cause,
    });
  }
}

async function toBackend(candidate: unknown): Promise<Backend | undefined> {
  if (isProvider(candidate)) return candidate.create();
  if (isBackend(candidate)) return candidate;
  if (typeof candidate !== 'function' || /^\s*class\b/.test(Function.prototype.toString.call(candidate)))
    return undefined;
  const made: unknown = await (candidate as () => unknown)();
  if (isProvider(made)) return made.create();
  return isBackend(made) ? made : undefined;
}

function isProvider(value: unknown): value is BackendProvider {
  return typeof (value as BackendProvider | undefined)?.create === 'function';
}

function isBackend(value: unknown): value is Backend {
  const backend = value as Partial<Backend> | undefined;
  return typeof backend?.selectiveScan === 'function' && typeof backend.upload === 'function';
}
