import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Backend, type BackendProvider, MambaError, selectBackend } from '@mamba/core';
import { probeWebGpu } from './probe.ts';

/** Tried in this order, fastest first, unless one is named. */
const KNOWN = ['webgpu', 'cpu', 'reference'];

/**
 * Creates a backend by name (`cpu` is `@mamba/cpu`), package or module path; without a specifier, the first known one
 * that runs.
 * @throws MambaError `unavailable`, with the reason for each backend that was tried.
 */
export async function openBackend(specifier: string | undefined): Promise<Backend> {
  if (specifier !== undefined) {
    if (specifier === 'webgpu' && (await loadProvider(specifier)) !== undefined) await probeWebGpu();
    return createBackend(specifier);
  }
  // `create` loads the package, so that a broken one is skipped with its reason, like one that cannot run.
  return selectBackend(KNOWN.map((name) => ({ name, create: () => openBackend(name) })));
}

/** Creates a backend that is named, in this process. @throws MambaError as `openBackend`. */
export async function createBackend(specifier: string): Promise<Backend> {
  const provider = await loadProvider(specifier);
  if (provider === undefined) throw notInstalled(specifier);
  return provider.create();
}

/** Undefined if it is not installed. */
async function loadProvider(specifier: string): Promise<BackendProvider | undefined> {
  const module = await importModule(KNOWN.includes(specifier) ? `@mamba/${specifier}` : specifier);
  if (module === undefined) return undefined;
  const name = /([^/\\]+?)(\.[cm]?[jt]s)?$/.exec(specifier)?.[1] ?? specifier;
  const factory = module[name] ?? module.default;
  if (typeof factory === 'function') return (factory as () => BackendProvider)();
  throw new MambaError('unavailable', `${specifier} is no backend`, {
    origin: specifier,
    given: `a module that exports ${Object.keys(module).join(', ') || 'nothing'}`,
    expected: `a function ${name} (or a default export) that returns a provider`,
  });
}

async function importModule(specifier: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const isPath = /^\.{0,2}[/\\]|^[A-Za-z]:\\/.test(specifier);
  try {
    if (isPath) return await import(pathToFileURL(resolve(specifier)).href);
    return await import(specifier);
  } catch (error) {
    if (!isMissing(error, specifier)) throw broken(specifier, error);
  }
  try {
    // The backend may be installed in the current project instead of beside this package.
    const path = createRequire(join(process.cwd(), 'package.json')).resolve(specifier);
    return await import(pathToFileURL(path).href);
  } catch (error) {
    if (!isMissing(error, specifier)) throw broken(specifier, error);
    return undefined;
  }
}

function broken(specifier: string, cause: unknown): MambaError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new MambaError('unavailable', `${specifier} cannot be loaded: ${reason}`, { origin: specifier, cause });
}

/** Whether this very module is missing, rather than one of its dependencies, which is an error. */
function isMissing(error: unknown, specifier: string): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') && String(message).includes(`'${specifier}'`);
}

function notInstalled(specifier: string): MambaError {
  if (KNOWN.includes(specifier))
    return new MambaError('unavailable', `the backend ${specifier} is not installed`, {
      origin: specifier,
      remedy: `Add the package @mamba/${specifier} from this repository: npm run sample makes tarballs and a project with it.`,
    });
  return new MambaError('unavailable', `there is no backend ${JSON.stringify(specifier)}`, {
    origin: specifier,
    expected: `${KNOWN.join(', ')}, a package that is installed, or the path of a module, as ./backend.js`,
  });
}
