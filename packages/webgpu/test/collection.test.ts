import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/**
 * A program that creates and disposes backends, with and without work in between, and collects garbage at each turn of
 * the event loop. An instance of Dawn that is collected while a callback of it is scheduled aborts the process. The
 * program runs in a process of its own, which must also end by itself.
 */
const program = `
  import { webgpu } from '@mamba/webgpu';
  import { create } from 'webgpu';
  const [own, seed] = [process.argv[1] === 'own', Number(process.argv[2])];
  const cycle = async (k) => {
    const backend = await webgpu(own ? {} : { gpu: create([]) }).create();
    if (k % 3 === 0) {
      const a = backend.upload({ dtype: 'float32', shape: [256], data: new Float32Array(256) });
      const sum = backend.add(a, a);
      if ((k + seed) % 2 === 0) await backend.read(sum);
    }
    await backend.dispose();
  };
  for (let k = 0; k < 6; k++) {
    await cycle(k);
    for (let turn = 0; turn < 6; turn++) {
      new Float64Array(1 << 18).fill(turn);
      await new Promise((resume) => ((turn + seed) % 2 ? setImmediate(resume) : setTimeout(resume, 1)));
      globalThis.gc();
    }
  }
  console.log('done');
`;

const runs = ['own', 'given'].flatMap((instance) => [0, 1, 2, 3].map((seed) => ({ instance, seed })));

test.each(runs)('a process outlives the collection of its $instance instance, $seed', ({ instance, seed }) => {
  const { stdout, status, signal } = spawnSync(
    process.execPath,
    ['--expose-gc', '--input-type=module', '--eval', program, '--', instance, String(seed)],
    { encoding: 'utf8', cwd: fileURLToPath(new URL('.', import.meta.url)) },
  );
  expect({ stdout: stdout.trim(), status, signal }).toEqual({ stdout: 'done', status: 0, signal: null });
});
