/** Which backends there are, which of them run here, and why the others do not. */
import { createRequire } from 'node:module';
import { type Backend, type BackendProvider, MambaError } from '@mamba/core';
import type { BackendRecord } from '../schema/report.ts';

export interface KnownBackend {
  readonly name: string;
  /** Its package, whose export of the backend's name makes a provider. */
  readonly module: string;
  /** Whether the ceilings measured on the processor are its own. */
  readonly onProcessor: boolean;
}

export const KNOWN_BACKENDS: readonly KnownBackend[] = [
  { name: 'webgpu', module: '@mamba/webgpu', onProcessor: false },
  { name: 'cpu', module: '@mamba/cpu', onProcessor: true },
  { name: 'reference', module: '@mamba/reference', onProcessor: true },
];

export interface FoundBackend {
  readonly known: KnownBackend;
  readonly record: BackendRecord;
  /** Absent where it does not run here. Each suite gets a fresh one, so that memory is the suite's own. */
  readonly provider?: BackendProvider | undefined;
}

/** @throws MambaError `invalid-argument` on a name that does not exist. */
export async function findBackends(names: readonly string[]): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const known of chooseNamed(KNOWN_BACKENDS, names, 'backend')) found.push(await find(known));
  return found;
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
        given: JSON.stringify(name),
        expected: `one of ${known.join(', ')}`,
      });
  }
  return names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
}

/** Why a backend only gets small shapes and stays out of comparisons; undefined where it does not. */
export function slowness(backend: Backend): string | undefined {
  if (backend.precision === 'float64') return 'float64';
  if (backend.details.software === true) return 'software';
  return undefined;
}

async function find(known: KnownBackend): Promise<FoundBackend> {
  const { name, module } = known;
  let factory: unknown;
  try {
    factory = ((await import(module)) as Readonly<Record<string, unknown>>)[name];
  } catch (error) {
    if (isMissing(error, module))
      return { known, record: { name, status: 'not-installed', reason: `${module} is not installed` } };
    if (isUnbuilt(error, module))
      return { known, record: { name, status: 'unavailable', reason: `${module} is not built` } };
    return { known, record: { name, status: 'unavailable', reason: `${module} does not load: ${messageOf(error)}` } };
  }
  if (typeof factory !== 'function')
    return { known, record: { name, status: 'not-installed', reason: `${module} has no export ${name}()` } };
  const provider = factory() as BackendProvider;
  const version = versionOf(module);
  const base = { name, ...(version !== undefined && { version }) };
  let backend: Backend;
  try {
    backend = await provider.create();
  } catch (error) {
    return { known, record: { ...base, status: 'unavailable', reason: messageOf(error) } };
  }
  const slow = slowness(backend);
  const record: BackendRecord = {
    ...base,
    status: 'ready',
    description: backend.description,
    details: { ...backend.details },
    dtype: backend.precision,
    ...(slow !== undefined && { slow }),
  };
  await backend.dispose();
  return { known, record, provider };
}

/** Whether this very package is what could not be found, rather than something that it needs. */
function isMissing(error: unknown, module: string): boolean {
  return isNotFound(error) && error.message.includes(`'${module}'`);
}

/** Whether the package is there and its entry, which a build makes, is not. */
function isUnbuilt(error: unknown, module: string): boolean {
  return isNotFound(error) && error.message.includes(`${module}/dist/index.js'`);
}

function isNotFound(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function versionOf(module: string): string | undefined {
  const { version } = createRequire(import.meta.url)(`${module}/package.json`) as { version?: string };
  return version;
}
