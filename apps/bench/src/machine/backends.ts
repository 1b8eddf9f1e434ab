/** Finds the backends that run here, and the reasons for which the others do not. */
import { type Backend, type BackendProvider, MambaError } from '@mamba/core';
import { messageOf } from '../errors.ts';
import { versions } from '../generated/versions.ts';
import type { Runner } from '../runner/runner.ts';
import type { BackendRecord, Ceiling } from '../schema/report.ts';

export interface KnownBackend {
  readonly name: string;
  /** The backend's package, whose export of the backend's name makes a provider. */
  readonly module: string;
  load(): Promise<Readonly<Record<string, unknown>>>;
  /** True where the limits of the processor are those of the backend. */
  readonly onProcessor: boolean;
  /** True where the backend can be given a number of threads. */
  readonly threaded: boolean;
  /** True where the backend calls native code, whose crash ends the process: in Node it gets a process of its own. */
  readonly native: boolean;
}

export const KNOWN_BACKENDS: readonly KnownBackend[] = [
  {
    name: 'webgpu',
    module: '@mamba/webgpu',
    load: () => import('@mamba/webgpu'),
    onProcessor: false,
    threaded: false,
    native: true,
  },
  {
    name: 'cpu',
    module: '@mamba/cpu',
    load: () => import('@mamba/cpu'),
    onProcessor: true,
    threaded: true,
    native: false,
  },
  {
    name: 'reference',
    module: '@mamba/reference',
    load: () => import('@mamba/reference'),
    onProcessor: true,
    threaded: false,
    native: false,
  },
];

export interface FoundBackend {
  readonly known: Pick<KnownBackend, 'name' | 'module' | 'onProcessor'>;
  readonly record: BackendRecord;
  /** Absent where the backend does not run here. Each suite creates a fresh one, so that its memory is its own. */
  readonly provider?: BackendProvider | undefined;
  /** The options of the provider. Default: none. */
  readonly options?: readonly object[] | undefined;
  /** The Node that the backend needs, where that is not this one; null where it runs in a browser. */
  readonly execPath?: string | null | undefined;
  /** Starts a runner and measures the limits, where the backend runs in another process. */
  readonly runner?: (() => Promise<Runner>) | undefined;
  readonly ceilings?: ((budget: number) => Promise<Ceiling[]>) | undefined;
}

/**
 * Finds the backends of these names; one that has threads is found once for each of several numbers, as `cpu@2`.
 * @throws MambaError `invalid-argument` on a name that does not exist.
 */
export async function findBackends(names: readonly string[], threads: readonly number[] = []): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const known of chooseNamed(KNOWN_BACKENDS, names, 'backend')) {
    if (!known.threaded || threads.length === 0) found.push(await find(known, known.name, []));
    else if (threads.length === 1) found.push(await find(known, known.name, [{ threads: threads[0]! }]));
    else for (const count of threads) found.push(await find(known, `${known.name}@${count}`, [{ threads: count }]));
  }
  return found;
}

/** Finds one of the known backends, with these options. */
export async function findBackend(name: string, label: string, options: readonly object[]): Promise<FoundBackend> {
  const [known] = chooseNamed(KNOWN_BACKENDS, [name], 'backend');
  return find(known!, label, options);
}

/** The entries of these names, in the list's order; all of them where no name is given. */
export function chooseNamed<T extends { readonly name: string }>(
  all: readonly T[],
  names: readonly string[],
  what: string,
): readonly T[] {
  const known = all.map(({ name }) => name);
  for (const name of names) {
    if (!known.includes(name))
      throw new MambaError('invalid-argument', `there is no ${what} ${JSON.stringify(name)}`, {
        origin: what,
        expected: `one of ${known.join(', ')}`,
      });
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

/** The reason for which a backend gets small shapes and stays out of comparisons, if there is one. */
function slowness(backend: Pick<Backend, 'precision' | 'details'>): string | undefined {
  if (backend.precision === 'float64') return 'float64';
  if (backend.details.software === true) return 'software';
  return undefined;
}

async function find(known: KnownBackend, label: string, options: readonly object[]): Promise<FoundBackend> {
  const { name, module } = known;
  const absent = (status: 'unavailable' | 'not-installed', reason: string): FoundBackend => ({
    known,
    options,
    record: { name: label, status, reason },
  });
  let factory: unknown;
  try {
    factory = (await known.load())[name];
  } catch (error) {
    if (isMissing(error, module)) return absent('not-installed', `${module} is not installed`);
    if (isUnbuilt(error, module)) return absent('unavailable', `${module} is not built`);
    return absent('unavailable', `${module} does not load: ${messageOf(error)}`);
  }
  if (typeof factory !== 'function') return absent('not-installed', `${module} has no export ${name}()`);
  const version = versions[module];
  const base = { name: label, ...(version !== undefined && { version }) };
  let provider: BackendProvider;
  let backend: Backend;
  const start = performance.now();
  try {
    provider = factory(...options) as BackendProvider;
    backend = await provider.create();
  } catch (error) {
    return { known, options, record: { ...base, status: 'unavailable', reason: messageOf(error) } };
  }
  const createSeconds = (performance.now() - start) / 1000;
  const slow = slowness(backend);
  const details = Object.entries(backend.details).filter(([, value]) => value !== undefined);
  const record: BackendRecord = {
    ...base,
    status: 'ready',
    description: backend.description,
    details: Object.fromEntries(details) as Record<string, string | number | boolean>,
    dtype: backend.precision,
    createSeconds,
    ...(slow !== undefined && { slow }),
  };
  await backend.dispose();
  return { known, options, record, provider };
}

/** True where this package itself could not be found, rather than something that it needs. */
function isMissing(error: unknown, module: string): boolean {
  return isNotFound(error) && error.message.includes(`'${module}'`);
}

/** True where the package is there and its entry, which a build makes, is not. */
function isUnbuilt(error: unknown, module: string): boolean {
  return isNotFound(error) && error.message.includes(`${module}/dist/index.js'`);
}

function isNotFound(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}
