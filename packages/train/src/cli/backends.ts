import { type Backend, type BackendProvider, MambaError, selectBackend } from '@mamba/core';
import { importModule } from './modules.ts';

/** Tried in this order, fastest first, unless one is named. */
const KNOWN = ['webgpu', 'cpu', 'reference'];

/**
 * Creates a backend that trains, by its name (`cpu` is `@mamba/cpu`), package or path; without a specifier, the first
 * known one that runs.
 * @throws MambaError `unavailable`, with the reason for each backend that was tried.
 */
export async function openBackend(specifier: string | undefined): Promise<Backend> {
  if (specifier === undefined) return selectBackend(KNOWN.map((name) => ({ name, create: () => openBackend(name) })));
  const backend = await (await loadProvider(specifier)).create();
  const one = { shape: [1], dtype: backend.precision };
  const support = backend.supports('adamw', one, one, { first: one, second: one }, { learningRate: 1, step: 1 });
  if (support.supported) return backend;
  await backend.dispose();
  throw new MambaError('unavailable', `${specifier} cannot train: ${support.reason}`, { origin: '--backend' });
}

async function loadProvider(specifier: string): Promise<BackendProvider> {
  const known = KNOWN.includes(specifier);
  const module = await importModule(known ? `@mamba/${specifier}` : specifier);
  if (module === undefined)
    throw new MambaError('unavailable', `the backend ${specifier} is not installed`, {
      origin: '--backend',
      expected: `${KNOWN.join(', ')}, a package that is installed, or the path of a module, as ./backend.js`,
      ...(known && { remedy: `Add the package @mamba/${specifier} from this repository.` }),
    });
  const name = /([^/\\]+?)(\.[cm]?[jt]s)?$/.exec(specifier)?.[1] ?? specifier;
  const factory = module[name] ?? module.default;
  if (typeof factory === 'function') return (factory as () => BackendProvider)();
  throw new MambaError('unavailable', `${specifier} is no backend`, {
    origin: '--backend',
    given: `a module that exports ${Object.keys(module).join(', ') || 'nothing'}`,
    expected: `a function ${name} (or a default export) that returns a provider`,
  });
}
