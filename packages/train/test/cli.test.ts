/** The command as a user runs it, from the built package, each time in a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../src/random.ts';

const BIN = fileURLToPath(new URL('../bin/mamba-train.js', import.meta.url));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-train-'));
});
afterAll(() => rm(folder, { recursive: true }));

/** `onLine` is called with each line of the output, and may end the process. */
function run(args: readonly string[], onLine?: (child: ChildProcess, line: string) => void) {
  return new Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }>(
    (resolve, reject) => {
      const child = spawn(process.execPath, [BIN, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
      const [stdout, stderr]: string[][] = [[], []];
      let rest = '';
      child.stdout.on('data', (chunk: Buffer) => {
        stdout!.push(chunk.toString());
        const lines = (rest + chunk.toString()).split('\n');
        rest = lines.pop()!;
        for (const line of lines) onLine?.(child, line);
      });
      child.stderr.on('data', (chunk: Buffer) => stderr!.push(chunk.toString()));
      child.on('error', reject);
      child.on('close', (code, signal) =>
        resolve({ code, signal, stdout: stdout!.join(''), stderr: stderr!.join('') }),
      );
    },
  );
}

const STEPS = 40;
const SAVE_EVERY = 4;
const TINY = [
  ...['induction-heads', '--backend', 'reference', '--json', '--steps', String(STEPS), '--lengths', '5,8'],
  ...['--batch', '2', '--layers', '1', '--d-model', '4', '--d-state', '2', '--test-sequences', '2'],
  ...['--eval-every', '10', '--save-every', String(SAVE_EVERY), '--keep', '1', '--resume'],
];

/** What repeats of a finished training. */
async function resultsOf(out: string) {
  const path = join(folder, out, `step-0000${STEPS}`);
  const lines = (await readFile(join(folder, out, 'metrics.jsonl'), 'utf8')).trim().split('\n');
  const { options: _, ...progress } = JSON.parse(await readFile(join(path, 'training.json'), 'utf8'));
  return {
    progress,
    metrics: lines.map((line) => ({ ...JSON.parse(line), tokensPerSecond: 0 })),
    weights: await readFile(join(path, 'model.safetensors')),
    optimiser: await readFile(join(path, 'optimizer.safetensors')),
  };
}

describe('mamba-train', () => {
  it('loses at most an interval of saves when it is killed, and ends with the same bits', async () => {
    const undisturbed = await run([...TINY, '--out', 'undisturbed']);
    expect(undisturbed.stderr).toMatch(/saved .*step-000040/);
    const random = new Random(7);
    let done = 0;
    // Each process repeats fewer steps of the one before it than lie between two saves.
    const goOn = async (onLine?: Parameters<typeof run>[1]) => {
      const ended = await run([...TINY, '--out', 'killed'], onLine);
      const steps = [...ended.stdout.matchAll(/^\{"step":(\d+),"tokens"/gm)].map(([, step]) => Number(step));
      expect(steps[0]).toBeGreaterThan(done - SAVE_EVERY);
      done = steps.at(-1)!;
      return ended;
    };
    for (let last = 0; last < 3; last++) {
      // The process is beyond this step when it dies, perhaps within a save, and far from its end.
      const step = 1 + 5 * last + random.integer(5);
      const killed = await goOn((child, line) => {
        if (JSON.parse(line).step >= step) child.kill('SIGKILL');
      });
      expect(killed.signal).toBe('SIGKILL');
    }
    expect((await goOn()).code).toBe(0);
    expect(await resultsOf('killed')).toEqual(await resultsOf('undisturbed'));
    const left = (await readdir(join(folder, 'killed'))).sort();
    expect(left).toEqual(['metrics.jsonl', `step-0000${STEPS}`]);
  });

  it('saves at Ctrl-C, and tells how to go on', async () => {
    let sent = false;
    const { code, stderr } = await run(
      [...TINY, '--save-every', '1000', '--steps', '100000', '--out', 'interrupted'],
      (child) => {
        if (!sent) child.kill('SIGINT');
        sent = true;
      },
    );
    expect(code).toBe(130);
    expect(stderr).toMatch(/saved interrupted\/step-\d{6}; --resume goes on from there\ninterrupted/);
    expect((await readdir(join(folder, 'interrupted'))).filter((name) => name.startsWith('step-')).length).toBe(1);
  });

  it('trains a language model by a file of options, fine-tunes it, and does not overwrite it', async () => {
    await writeFile(join(folder, 'book.txt'), 'In the beginning God created the heaven and the earth.\n'.repeat(8));
    const options = {
      ...{ task: 'lm', files: ['book.txt'], backend: 'reference', out: 'lm', steps: 12, lr: 0.02, batch: 1 },
      ...{ length: 24, layers: 1, dModel: 8, dState: 2, evalEvery: 6, heldOut: 0.2, evalWindows: 2 },
    };
    await writeFile(join(folder, 'lm.json'), JSON.stringify(options));
    const first = await run(['config', 'lm.json']);
    expect(first.stderr).toMatch(/lm on reference .*: \d+ parameters, step 0 of 12, into lm/);
    const bits = [...first.stdout.matchAll(/step (\d+): held-out loss [\d.]+ nats, ([\d.]+) bits per byte/g)];
    expect(bits.map(([, step]) => step)).toEqual(['6', '12']);
    expect(Number(bits[1]![2])).toBeLessThan(Number(bits[0]![2]));
    expect(await readdir(join(folder, 'lm', 'step-000012'))).toContain('tokenizer.json');
    const tuned = await run([
      ...['lm', 'book.txt', '--init', 'lm/step-000012', '--lora', '2', '--backend', 'reference', '--out', 'tuned'],
      ...['--steps', '2', '--batch', '1', '--length', '24', '--eval-windows', '2', '--lora-targets', 'inProj,outProj'],
    ]);
    expect(tuned.stderr).toMatch(/: 2696 parameters, 128 of adapters, step 0 of 2/);
    expect(tuned.stderr).toMatch(/saved tuned\/step-000002\nsaved tuned\/adapter, the adapters alone/);
    expect((await readdir(join(folder, 'tuned', 'adapter'))).length).toBe(2);
    const again = await run(['config', 'lm.json']);
    expect([again.code, again.stderr]).toEqual([2, expect.stringMatching(/lm holds a training already, of 12 steps/)]);
  });

  it('says in words what is wrong', async () => {
    const wrong = await run(['induction-heads', '--lr', 'fast']);
    expect([wrong.code, wrong.stderr]).toEqual([
      2,
      expect.stringMatching(/^error: --lr is not valid: got fast.*\nsee docs\/errors\.md#invalid-argument\n$/),
    ]);
    const unknown = await run(['induction-heads', '--backend', 'abacus', '--out', 'unknown']);
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringMatching(/^error: the backend abacus is not installed/),
    ]);
    const help = await run(['selective-copying', '--help']);
    expect([help.code, help.stdout]).toEqual([0, expect.stringMatching(/--data-tokens <count>\s+tokens to copy/)]);
    expect(help.stdout).not.toMatch(/--tokenizer/);
  });
});
