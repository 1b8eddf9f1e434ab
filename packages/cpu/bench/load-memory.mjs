// node bench/load-memory.mjs: how much memory loading a model takes, at its peak: at most the weights as they are
// stored, a tenth, and 64 MiB. Writes mamba-130m's shape with seeded weights into a temporary folder, and loads it in a
// process of its own for each file and type. Exits with 1 where one takes more. What is measured is the operating
// system's: the largest resident set, less what the process had before.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createFile, modelConfigJson, openCheckpoint, writeGguf, writeSafetensorsModel } from '@mamba/checkpoint';
import { seededWeights } from '@mamba/conformance';
import { createModel, MAMBA_SIZES, modelConfig } from '@mamba/core';
import { cpu } from '@mamba/cpu';

const MIB = 2 ** 20;
const FILES = ['F32', 'F16', 'gguf-F32', 'gguf-Q8_0'];
const CASES = [
  ['F32', 'float32'],
  ['F16', 'float16'],
  ['F32', 'float16'],
  ['F32', 'q8'],
  ['F16', 'q8'],
  ['gguf-F32', 'float32'],
  ['gguf-F32', 'q8'],
  ['gguf-Q8_0', 'q8'],
  ['F32', 'q4'],
];

const [task, ...rest] = process.argv.slice(2);
if (task === '--write') await write(...rest);
else if (task === '--load') console.log(JSON.stringify(await load(...rest)));
else await compare();

async function compare() {
  const folder = await mkdtemp(join(tmpdir(), 'mamba-load-'));
  try {
    for (const file of FILES) await child('--write', folder, file);
    let within = true;
    for (const [file, dtype] of CASES) {
      const { weights, peak, reserved } = JSON.parse(await child('--load', folder, file, dtype));
      const limit = weights * 1.1 + 64 * MIB;
      within &&= peak <= limit;
      const figures = [weights, peak, limit, reserved].map((bytes) => `${(bytes / MIB).toFixed(0)} MiB`);
      console.log(
        `${file} as ${dtype}: weights ${figures[0]}, peak ${figures[1]}, limit ${figures[2]}, WebAssembly memory ${figures[3]}` +
          `: ${peak <= limit ? 'within' : 'ABOVE'}`,
      );
    }
    process.exitCode = within ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function child(...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(import.meta.url), ...args]);
  return stdout;
}

async function write(folder, file) {
  const config = modelConfig(MAMBA_SIZES['mamba-130m']);
  const source = seededWeights(config, 130);
  const place = join(folder, file);
  await mkdir(place);
  if (file.startsWith('gguf-')) {
    const sink = await createFile(join(place, 'model.gguf'));
    await writeGguf({ config, source, type: file.slice(5), sink });
    return;
  }
  await writeFile(join(place, 'config.json'), JSON.stringify(modelConfigJson(config, { eos: [] })));
  await writeSafetensorsModel({ config, source, type: file, sink: await createFile(join(place, 'model.safetensors')) });
}

async function load(folder, file, dtype) {
  const backend = await cpu().create();
  const before = process.memoryUsage().rss;
  const checkpoint = await openCheckpoint(join(folder, file));
  await createModel(backend, checkpoint.config, checkpoint.source, { weights: dtype });
  await checkpoint.close();
  const { bytes, reserved } = backend.memory();
  return { weights: bytes, reserved, peak: process.resourceUsage().maxRSS * 1024 - before };
}
