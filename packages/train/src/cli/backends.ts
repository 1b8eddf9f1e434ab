import { type Backend, type BackendProvider, MambaError, selectBackend } from '@mamba/core';
import { trainingSupport } from '../model/trainable.ts';
import { importModule } from './modules.ts';
import type { MatrixPrecision } from './options.ts';

/** Tried in this order, fastest first, unless one is named. */
const KNOWN = ['webgpu', 'cpu', 'reference'];

/**
 * Creates a backend that trains, by its name (`cpu` is `@mamba/cpu`), package or path; without a specifier, the first
 * known one that runs.
 * @throws MambaError `unavailable`, with the reason for each backend that was tried, and where a precision below
 * float32 is asked for that the backend or its device does not have.
 */
export async function openBackend(specifier: string | undefined, precision: MatrixPrecision): Promise<Backend> {
  if (specifier === undefined)
    return selectBackend(KNOWN.map((name) => ({ name, create: () => openBackend(name, precision) })));
  const backend = await (await loadProvider(specifier, precision)).create();
  if (precision !== 'float32' && !String(backend.details.matrixUnits).startsWith(precision)) {
    await backend.dispose();
    throw new MambaError('unavailable', `${specifier} has no matrix units for ${precision} here`, {
      origin: '--precision',
      remedy: 'Train in float32, or on webgpu with a device that has them.',
    });
  }
  const support = trainingSupport(backend);
  if (support.supported) return backend;
  await backend.dispose();
  throw new MambaError('unavailable', `${specifier} cannot train: ${support.reason}`, { origin: '--backend' });
}

async function loadProvider(specifier: string, precision: MatrixPrecision): Promise<BackendProvider> {
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
  const options = specifier === 'webgpu' && precision !== 'float32' ? [matrixUnits(precision)] : [];
  if (typeof factory === 'function') return (factory as (...options: object[]) => BackendProvider)(...options);
  throw new MambaError('unavailable', `${specifier} is no backend`, {
    origin: '--backend',
    given: `a module that exports ${Object.keys(module).join(', ') || 'nothing'}`,
    expected: `a function ${name} (or a default export) that returns a provider`,
  });
}

/** The options of webgpu that let products run on matrix units, which Dawn has behind two toggles. */
function matrixUnits(matrixPrecision: MatrixPrecision): object {
  return { matrixPrecision, toggles: { enable: ['allow_unsafe_apis', 'vulkan_enable_f16_on_nvidia'], disable: [] } };
}
