/**
 * The command as a user runs it, from the built package. Most runs share one process, which loads the modules once.
 * Tests of signals, closed streams, concurrent commands and exit codes start processes of their own.
 */
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { checkpointStore } from '@mamba/checkpoint';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasDevice } from '../src/cli/probe.ts';
import { openTokenizer } from '../src/index.ts';
import { FIXTURES, golden, rows } from './helpers.ts';

const BIN = fileURLToPath(new URL('../bin/mamba-lm.js', import.meta.url));
const KJV = `${FIXTURES}/kjv-mamba`;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

let host: ChildProcess;
let last: Promise<unknown> = Promise.resolve();

/** Runs the command in the shared process, after earlier runs. */
function run(args: readonly string[], input: string | Uint8Array = ''): Promise<Outcome> {
  const outcome = last.then(
    () =>
      new Promise<Outcome>((resolve, reject) => {
        const onExit = (): void => reject(new Error(`the shared process ended in: ${args.join(' ')}`));
        host.once('exit', onExit);
        host.once('message', (answer) => {
          host.off('exit', onExit);
          resolve(answer as Outcome);
        });
        host.send({ args, input: Buffer.from(input) });
      }),
  );
  last = outcome.catch(() => {});
  return outcome;
}

/**
 * Runs the command in a process of its own. `onText` is called with the output so far, and may kill the process or
 * close its output.
 */
function runAlone(
  args: readonly string[],
  onText?: (child: ChildProcess, text: string) => void,
  input: string | Uint8Array = '',
  onStart?: (child: ChildProcess) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
    // The process may end before it has read its input.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    onStart?.(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      onText?.(child, stdout);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-lm-'));
  host = fork(new URL('cli-host.js', import.meta.url), { serialization: 'advanced' });
});

afterAll(async () => {
  host.kill();
  await rm(folder, { recursive: true });
});

describe('mamba-lm', () => {
  it('prints the prompt and its continuation to stdout, and statistics to stderr', async () => {
    const { code, stdout, stderr } = await runAlone(['generate', KJV, 'And God said', '-n', '8', '-b', 'reference']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^And God said unto him, .*\n$/s);
    expect(stderr).toMatch(/8 tokens in .* tokens\/s/);
    expect(stderr).toContain('on reference');
  });

  it('selects a backend', async () => {
    const { code, stderr } = await runAlone(['generate', `${FIXTURES}/mamba-tiny`, '5', '--ids', '-n', '1']);
    expect(code).toBe(0);
    expect(stderr).toMatch(/on (webgpu|cpu|reference) \(/);
  });

  it('takes and prints ids', async () => {
    const expected = await golden('mamba-tiny');
    const [ids] = rows(expected('input_ids'));
    const [greedy] = rows(expected('greedy_ids'));
    const { code, stdout } = await run([
      'generate',
      `${FIXTURES}/mamba-tiny`,
      ids!.join(' '),
      '--ids',
      '-n',
      '24',
      '-b',
      'cpu',
    ]);
    expect(code).toBe(0);
    expect(stdout).toBe(`${greedy!.join(' ')}\n`);
  });

  it('gives the same text for the same seed, and takes a backend by path', async () => {
    const path = fileURLToPath(import.meta.resolve('@mamba/cpu'));
    const sampled = ['-n', '6', '-t', '0.8', '--top-k', '40', '--top-p', '0.9', '--seed', '5'];
    const named = await run(['generate', KJV, 'And', ...sampled, '-b', 'cpu']);
    const again = await run(['generate', KJV, 'And', ...sampled, '-b', '@mamba/cpu']);
    expect(named.code).toBe(0);
    expect(again.stdout).toBe(named.stdout);
    // index.js exports no function `index`, and no default.
    const wrong = await run(['generate', KJV, 'And', '-b', path]);
    expect(wrong).toMatchObject({ code: 1, stdout: '' });
    expect(wrong.stderr).toContain('is no backend');
    expect(wrong.stderr).toMatch(/\nsee docs\/errors\.md#unavailable\n$/);
  });

  it('scores a file', async () => {
    const { code, stdout } = await run([
      'score',
      KJV,
      `${KJV}/tokenizer_config.json`,
      '-w',
      '64',
      '--json',
      '-b',
      'cpu',
    ]);
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as { bitsPerByte: number; window: number; predictedTokens: number };
    expect(result.window).toBe(64);
    expect(result.bitsPerByte).toBeGreaterThan(1);
    const plain = await run(['score', KJV, `${KJV}/tokenizer_config.json`, '-w', '64', '-b', 'cpu']);
    expect(plain.stdout).toContain(`${result.bitsPerByte.toFixed(4)} bits per byte`);
  });

  it('inspects a checkpoint', async () => {
    const { code, stdout } = await run(['inspect', KJV, '--tensors']);
    expect(stdout).toContain('175 kB a sequence');
    expect(code).toBe(0);
    expect(stdout).toContain('1,707,072');
    expect(stdout).toMatch(/backbone\.layers\.5\.mixer\.A_log .* F32 .* 384 × 16/);
    const json = JSON.parse((await run(['inspect', KJV, '--json'])).stdout) as Record<string, unknown>;
    expect(json).toMatchObject({ format: 'safetensors', parameters: 1_707_072, layers: 6, config: { dModel: 192 } });
    expect(json).toMatchObject({ tokenizer: { eos: [0], chatTemplate: false }, stateBytes: 175_104 });
  });

  it('converts to GGUF and back, refuses to overwrite, and leaves no partial files', async () => {
    const [gguf, back] = [join(folder, 'kjv.gguf'), join(folder, 'back')];
    const there = await run(['convert', KJV, gguf, '-b', 'cpu']);
    expect(there).toMatchObject({ code: 0, stdout: expect.stringContaining('relative error 0.00e+0') });
    const again = await run(['convert', gguf, back, '-b', 'cpu']);
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('relative error 0.00e+0') });
    const text = (await run(['generate', KJV, 'And God said', '-n', '8', '-b', 'cpu'])).stdout;
    for (const made of [gguf, back])
      expect((await run(['generate', made, 'And God said', '-n', '8', '-b', 'cpu'])).stdout).toBe(text);
    for (const made of [gguf, back]) {
      const refused = await run(['convert', KJV, made, '--no-check']);
      expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('--force') });
    }
    const forced = await run(['convert', KJV, back, '--type', 'bf16', '--force', '--no-check']);
    expect(forced).toMatchObject({ code: 0, stdout: expect.stringContaining('3.53 MB') });
    expect((await readdir(back)).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    const small = await run(['convert', KJV, gguf, '--type', 'q4_0', '--force', '-b', 'cpu']);
    expect(small.code).toBe(0);
    const error = Number(/relative error (\S+),/.exec(small.stdout)?.[1]);
    expect(error).toBeGreaterThan(1e-3);
    expect(error).toBeLessThan(0.5);
    // A conversion that fails leaves the old file, and no part of a new one.
    const tiny = `${FIXTURES}/mamba-tiny`;
    const wrong = await run(['convert', tiny, join(folder, 'tiny'), '--type', 'q8_0']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('F32, F16, BF16') });
    await writeFile(join(folder, 'broken.gguf'), 'GGUF');
    expect((await run(['convert', join(folder, 'broken.gguf'), join(folder, 'new')])).code).toBe(1);
    expect((await readdir(folder)).sort()).toEqual(['back', 'broken.gguf', 'kjv.gguf']);
  });

  it('generates, inspects and converts a model of Mamba-2', async () => {
    const checkpoint = `${FIXTURES}/mamba2-gradients`;
    const expected = await golden('mamba2-gradients');
    const [[prompt], [greedy]] = [rows(expected('input_ids')), rows(expected('greedy_ids'))];
    const gguf = join(folder, 'mamba2.gguf');
    const made = await run(['convert', checkpoint, gguf, '-b', 'cpu']);
    expect(made).toMatchObject({ code: 0, stdout: expect.stringContaining('relative error') });
    for (const model of [checkpoint, gguf]) {
      const flags = ['--ids', '-n', String(greedy!.length), '-b', 'cpu'];
      const { stdout } = await run(['generate', model, prompt!.join(' '), ...flags]);
      expect(stdout).toBe(`${greedy!.join(' ')}\n`);
      expect((await run(['inspect', model])).stdout).toMatch(
        /layers 0 to 2 .*mamba2: .*heads 12, headDim 8, dState 16/,
      );
    }
    await rm(gguf);
  });

  it('refuses to compare logits that are not finite', async () => {
    const broken = join(folder, 'no-numbers');
    await cp(`${FIXTURES}/mamba-tiny`, broken, { recursive: true });
    const bytes = await readFile(join(broken, 'model.safetensors'));
    // The last value of the last tensor.
    bytes.writeFloatLE(Number.NaN, bytes.length - 4);
    await writeFile(join(broken, 'model.safetensors'), bytes);
    const args = ['convert', broken, join(folder, 'no-numbers.gguf'), '-b', 'cpu'];
    const { code, stdout, stderr } = await run(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('the logits of the source are no numbers: that begins in the final norm');
    expect(existsSync(join(folder, 'no-numbers.gguf'))).toBe(false);
    expect((await run([...args, '--no-check'])).code).toBe(0);
    await rm(broken, { recursive: true });
    await rm(join(folder, 'no-numbers.gguf'));
  });

  it('replaces a folder with a model, and no other folder', async () => {
    const tiny = `${FIXTURES}/mamba-tiny`;
    const place = await mkdtemp(join(folder, 'replaced-'));
    const convert = (target: string, ...flags: string[]) =>
      run(['convert', tiny, join(place, target), '--no-check', ...flags]);
    await cp(KJV, join(place, 'model'), { recursive: true });
    expect(await convert('model')).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') });
    // The remedy works.
    expect(await convert('model', '--force', '--no-tokenizer')).toMatchObject({ code: 0 });
    expect((await readdir(join(place, 'model'))).sort()).toEqual(['config.json', 'model.safetensors']);

    await mkdir(join(place, 'model', 'below'));
    await mkdir(join(place, 'home'));
    await writeFile(join(place, 'home', 'letters'), 'mine');
    await mkdir(join(place, 'x.gguf'));
    await mkdir(join(place, 'empty'));
    for (const [target, words] of [
      ['model', '"below"'],
      ['home', 'no model'],
      ['x.gguf', 'a folder'],
      ['home/letters', 'a file'],
    ] as const) {
      const refused = await convert(target, '--force');
      expect(refused).toMatchObject({ code: 1, stdout: '' });
      expect(refused.stderr).toContain(words);
    }
    expect(await readdir(join(place, 'home'))).toEqual(['letters']);
    // An empty path, as of an unset variable, is not the working directory.
    const nameless = await run(['convert', tiny, '', '--no-check', '--force']);
    expect(nameless).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('got nothing') });
    expect(await convert('empty')).toMatchObject({ code: 0 });
    expect((await readdir(place)).sort()).toEqual(['empty', 'home', 'model', 'x.gguf']);
  });

  it.each(['made', 'made.gguf'])('lets one of two concurrent conversions create %s', async (name) => {
    const place = await mkdtemp(join(folder, 'race-'));
    const target = join(place, name);
    const convert = (type: string) => runAlone(['convert', KJV, target, '--type', type, '--no-check']);
    const ends = await Promise.all([convert('f16'), convert('f32')]);
    expect(ends.map(({ code }) => code).sort()).toEqual([0, 1]);
    const failed = ends.find(({ code }) => code === 1)!;
    expect(failed.stderr).toContain('--force');
    expect(await readdir(place)).toEqual([name]);
    const json = JSON.parse((await run(['inspect', target, '--json'])).stdout) as { readonly bytes: number };
    expect(json.bytes > 5_000_000).toBe(ends[1]!.code === 0);
  });

  it.each([
    ['generate', ['generate', KJV, 'And God said', '-n', '4', '-b', 'cpu', '--ids', '--json'], '', 1],
    ['score', ['score', KJV, '-', '-b', 'cpu', '-w', '64'], 'And God said, Let there be light', 0],
    ['inspect', ['inspect', KJV, '--tensors'], '', 0],
    ['convert', ['convert', `${FIXTURES}/mamba-tiny`, '/dev/null/x', '--no-check'], '', 1],
    ['chat', ['chat', KJV, '-n', '4', '-b', 'cpu'], 'And God said\n/undo\n', 0],
    [
      'a failure after the backend was opened',
      ['generate', `${FIXTURES}/mamba-tiny`, '96', '--ids', '-b', 'cpu'],
      '',
      1,
    ],
    ['wrong usage', ['generate', KJV, 'x', '--nonsense'], '', 2],
    ['no command', [], '', 2],
  ] as const)('gives the same in a process of its own as in the shared one: %s', async (_, args, input, code) => {
    const timeless = ({ stderr, ...outcome }: Outcome) => ({
      ...outcome,
      stderr: stderr.replaceAll(/\d+(\.\d+)?/g, '0'),
    });
    const [alone, shared] = [await runAlone(args, undefined, input), await run(args, input)];
    expect(alone.code).toBe(code);
    expect(timeless(alone)).toEqual(timeless(shared));
  });

  it('continues a saved conversation', async () => {
    const file = join(folder, 'talk.session');
    const args = ['chat', KJV, '-n', '6', '-b', 'cpu', '--session', file];
    const first = await run(args, 'And God said\nMoses\n/undo\n/load nowhere\n/quit\n');
    expect(first).toMatchObject({ code: 0, stderr: expect.stringContaining('nowhere cannot be read') });
    const [answer] = first.stdout.split('\n');
    const second = await run(args, ' unto\n');
    expect(second.stderr).toMatch(/9 tokens from/);
    const whole = await run(['generate', KJV, `And God said${answer} unto`, '-n', '6', '-b', 'cpu']);
    expect(whole.stdout).toBe(`And God said${answer} unto${second.stdout}`);
  });

  it('chats by the template with a system prompt, and each turn reads its own tokens only', async () => {
    const chatty = join(folder, 'chatty');
    await cp(KJV, chatty, { recursive: true });
    const template =
      "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}";
    await writeFile(join(chatty, 'chat_template.jinja'), template);
    const talk = await run(['chat', chatty, '-n', '5', '-b', 'cpu', '--system', 'Be brief'], 'Hail\nAnd now\n');
    expect(talk).toMatchObject({ code: 0, stderr: expect.stringContaining('chat; /save') });
    const [first, second] = talk.stdout.split('\n');
    const generate = async (prompt: string): Promise<string> =>
      (await run(['generate', chatty, prompt, '-n', '5', '-b', 'cpu'])).stdout;
    const opening = 'system: Be brief\nuser: Hail\nassistant:';
    expect(await generate(opening)).toBe(`${opening}${first}\n`);
    const going = `${opening}${first}\nuser: And now\nassistant:`;
    expect(await generate(going)).toBe(`${going}${second}\n`);
    const inspected = JSON.parse((await run(['inspect', chatty, '--json'])).stdout) as object;
    expect(inspected).toMatchObject({ tokenizer: { chatTemplate: true } });
    // The template is stored in the GGUF file.
    const gguf = join(folder, 'chatty.gguf');
    expect((await run(['convert', chatty, gguf, '--type', 'q8_0', '--no-check'])).code).toBe(0);
    const described = await run(['inspect', gguf, '--tensors']);
    expect(described.stdout).toMatch(/format\s+│ GGUF 3/);
    expect(described.stdout).toMatch(/chat template\s+│ yes/);
    expect(described.stdout).toMatch(/blk\.5\.ssm_in\.weight\s+│ Q8_0\s+│ 768 × 192/);
    for (const path of [chatty, gguf]) await rm(path, { recursive: true });
  });

  it("serves OpenAI's client until it is interrupted", async () => {
    const child = spawn(process.execPath, [BIN, 'serve', KJV, '-p', '0', '-b', 'cpu', '--api-key', 'key']);
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    const url = await new Promise<string>((resolve, reject) => {
      let text = '';
      child.on('close', () => reject(new Error(text)));
      child.stderr.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        const found = /at (http\S+)/.exec(text)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    const client = new OpenAI({ baseURL: url, apiKey: 'key', maxRetries: 0 });
    const fields = { model: 'kjv-mamba', prompt: 'And God said', max_tokens: 8, temperature: 0 };
    const { choices } = await client.completions.create(fields);
    const { stdout } = await run(['generate', KJV, 'And God said', '-n', '8', '-b', 'cpu']);
    expect(stdout).toBe(`And God said${choices[0]!.text}\n`);
    child.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('goes on after stderr is closed', async () => {
    const quiet = await runAlone(['generate', KJV, 'And God said', '-n', '4', '-b', 'cpu'], undefined, '', (child) =>
      child.stderr!.destroy(),
    );
    expect(quiet).toMatchObject({ code: 0, stdout: expect.stringMatching(/^And God said ./) });

    const child = spawn(process.execPath, [BIN, 'serve', KJV, '-p', '0', '-b', 'cpu']);
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    let remarks = '';
    const url = await new Promise<string>((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        remarks += chunk.toString();
        const found = /at (http\S+)/.exec(remarks)?.[1];
        if (found !== undefined) resolve(found);
      });
    });
    child.stderr.destroy();
    const client = new OpenAI({ baseURL: url, apiKey: 'none', maxRetries: 0 });
    const fields = {
      model: 'kjv-mamba',
      prompt: 'And',
      max_tokens: 400,
      logit_bias: { 0: -100 },
      stream: true as const,
    };
    let pieces = 0;
    for await (const { choices } of await client.completions.create(fields)) {
      if (pieces++ === 0) child.kill('SIGTERM');
      if (choices[0]!.finish_reason !== null) expect(choices[0]!.finish_reason).toBe('length');
    }
    expect(pieces).toBeGreaterThan(100);
    expect(await ended).toBe(0);
  });

  it('refuses an empty key, from the command line or the environment', async () => {
    const serve = ['serve', KJV, '-p', '0', '-b', 'cpu'];
    for (const key of ['', ' ']) {
      const flag = await run([...serve, '--api-key', key]);
      expect(flag).toMatchObject({ code: 2, stderr: expect.stringContaining('leave it out') });
    }
    process.env.MAMBA_LM_API_KEY = '';
    try {
      expect(await runAlone(serve)).toMatchObject({ code: 2, stderr: expect.stringContaining('MAMBA_LM_API_KEY') });
    } finally {
      delete process.env.MAMBA_LM_API_KEY;
    }
    const wrong = await run([...serve, '--allow-host', 'model.example:80']);
    expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('without a port') });
  });

  it.each([
    ['a pattern of the tokenizer', { Regex: '^(a+)+$' }, `${'a'.repeat(40)}!`],
    ['a very long word', { String: 'never' }, 'thandofheringtionent'.repeat(100_000)],
  ])('is interrupted within %s', async (_, pattern, prompt) => {
    const model = join(folder, `slow-${prompt.length}`);
    await cp(KJV, model, { recursive: true });
    const path = join(model, 'tokenizer.json');
    const json = JSON.parse(await readFile(path, 'utf8')) as object;
    await writeFile(path, JSON.stringify({ ...json, normalizer: { type: 'Replace', pattern, content: 'b' } }));
    let remarks = '';
    const { code, stderr } = await runAlone(['generate', model, '-', '-b', 'cpu'], undefined, prompt, (child) =>
      child.stderr!.on('data', (chunk: Buffer) => {
        const before = remarks;
        remarks += chunk.toString();
        // Encoding comes next. The signal is sent once: a second one would kill the process.
        if (!/loaded in/.test(before) && /loaded in/.test(remarks)) child.kill('SIGINT');
      }),
    );
    expect({ code, stderr }).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
    await rm(model, { recursive: true });
  });

  it('takes every option of sampling', async () => {
    const flags = [
      '-t',
      '0.9',
      '--top-k',
      '40',
      '--top-p',
      '0.9',
      '--min-p',
      '0.01',
      '--typical-p',
      '0.95',
      '--seed',
      '2',
    ];
    const penalties = ['--repetition-penalty', '1.2', '--presence-penalty', '0.1', '--frequency-penalty', '0.1'];
    const others = [
      '--penalty-window',
      '32',
      '--logit-bias',
      '318=-Infinity',
      '5=1.5',
      '--stop',
      'zzz',
      '--stop-ids',
      '1',
      '2',
    ];
    const args = ['generate', KJV, 'And God said', ...flags, ...penalties, ...others, '-n', '5', '-b', 'cpu'];
    const { code, stdout } = await run([...args, '--json', '--top-log-probs', '2', '--chunk', '2', '--block', '1']);
    expect(code).toBe(0);
    const pieces = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { id?: number; topLogProbs?: unknown[] });
    expect(pieces).toHaveLength(6);
    expect(pieces[0]!.topLogProbs).toHaveLength(2);
    expect(pieces[0]!.id).not.toBe(318);
    const greedy = ['generate', KJV, 'And God said', '-n', '8', '-b', 'cpu'];
    expect((await run([...greedy, '--draft', KJV, '--draft-tokens', '2'])).stdout).toBe((await run(greedy)).stdout);
  });

  it.each([
    ['a malformed bias', ['generate', KJV, 'x', '--logit-bias', 'word'], 2, '12=-1.5'],
    ['draft tokens without a draft', ['generate', KJV, 'x', '--draft-tokens', '2'], 2, '--draft'],
    ['an unknown type', ['convert', KJV, '/nowhere/x.gguf', '--type', 'Q9'], 2, 'Q8_0'],
    ['a target that cannot be written', ['convert', KJV, '/dev/null/x.gguf', '--no-check'], 1, 'cannot be written'],
    ['a malformed id of the hub', ['inspect', 'hf:nothing'], 1, 'owner/name'],
    ['a folder that is not there', ['generate', '/nowhere', 'x', '-b', 'cpu'], 1, 'config.json'],
    ['text without a tokenizer', ['generate', `${FIXTURES}/mamba-tiny`, 'x', '-b', 'cpu'], 1, 'tokenizer.json'],
    ['ids that are words', ['generate', `${FIXTURES}/mamba-tiny`, 'x', '--ids', '-b', 'cpu'], 1, 'token ids'],
    ['an id outside the vocabulary', ['generate', `${FIXTURES}/mamba-tiny`, '96', '--ids', '-b', 'cpu'], 1, '96'],
    ['a backend that is not installed', ['generate', KJV, 'x', '-b', 'nonsense'], 1, 'webgpu, cpu, reference'],
    ['a backend path that is not there', ['generate', KJV, 'x', '-b', './nonsense.js'], 1, 'cannot be loaded'],
    ['a file that is not there', ['score', KJV, '/nowhere.txt', '-b', 'cpu'], 1, 'nowhere.txt'],
    ['a negative count', ['generate', KJV, 'x', '-n', '-3'], 2, 'at least 1'],
    ['a filter at temperature 0', ['generate', '/nowhere', 'x', '--top-k', '4'], 2, '--top-k'],
    [
      'a seed at temperature 0',
      ['chat', '/nowhere', '--seed', '4'],
      2,
      '--seed is not valid: got a seed at temperature 0',
    ],
    ['a share above 1', ['generate', '/nowhere', 'x', '-t', '1', '--top-p', '2'], 2, '--top-p is not valid: got 2'],
    ['an empty stop string', ['generate', '/nowhere', 'x', '--stop', ''], 2, '--stop'],
    ['an unknown escape', ['generate', '/nowhere', 'x', '--stop', 'a\\d'], 2, 'Write \\\\ for a backslash'],
    ['an unfinished escape', ['chat', '/nowhere', '--stop', '\\n', 'a\\'], 2, 'Write \\\\ for a backslash'],
    ['half a character', ['generate', '/nowhere', 'x', '--stop', '\\ud83c'], 2, 'surrogate'],
    ['a prompt that begins with a dash', ['generate', KJV, '- one'], 2, "goes behind --, as in -- '- one'"],
    ['a prompt that begins like an option', ['generate', KJV, '-t for two'], 2, "as in -- '-t for two'"],
    ['a prompt after a list', ['generate', KJV, '--stop', 'x', 'And'], 2, 'put -- before the prompt'],
    ['a bias outside the vocabulary', ['generate', KJV, 'x', '--logit-bias', '5000=1', '-b', 'cpu'], 2, '--logit-bias'],
    ['log-probabilities without --json', ['generate', '/nowhere', 'x', '--log-probs'], 2, '--json'],
    ['weights of an unknown dtype', ['generate', '/nowhere', 'x', '--weights', 'q3'], 2, 'q8'],
    ['weights that a backend lacks', ['generate', KJV, 'x', '--weights', 'q8', '-b', 'reference'], 1, 'q8'],
    ['a prompt without quotes', ['generate', KJV, 'And', 'God'], 2, 'quotes'],
    ['a prompt that is not UTF-8', ['generate', KJV, '\ufffd'], 1, 'UTF-8'],
    ['a system prompt without a template', ['chat', KJV, '--system', 'x', '-b', 'cpu'], 2, 'chat template'],
    ['a missing folder before a missing backend', ['generate', '/nowhere', 'x', '-b', 'nonsense'], 1, '/nowhere'],
    ['an unknown option', ['generate', KJV, 'x', '--nonsense'], 2, '--nonsense'],
    ['no command', [], 2, 'Usage'],
  ])('reports what is wrong with %s, without a stack', async (_, args, code, words) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(words);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });

  it('reads standard input for -, and refuses what is not text', async () => {
    const whole = await run(['generate', KJV, 'And God said', '-n', '4', '-b', 'cpu']);
    const piped = await run(['generate', KJV, '-', '-n', '4', '-b', 'cpu'], 'And God said\n');
    expect(piped).toMatchObject({ code: 0, stdout: whole.stdout });
    const text = await readFile(`${KJV}/config.json`, 'utf8');
    const named = await run(['score', KJV, `${KJV}/config.json`, '-b', 'cpu']);
    expect((await run(['score', KJV, '-', '-b', 'cpu'], text)).stdout).toBe(named.stdout);
    for (const args of [
      ['generate', KJV, '-'],
      ['score', KJV, '-', '-b', 'cpu'],
    ]) {
      const wrong = await run(args, Uint8Array.of(0x41, 0xff));
      expect(wrong).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('UTF-8') });
    }
  });

  it('takes a prompt that begins with a dash after --, also after a list of stop strings', async () => {
    for (const prompt of ['- one', '-t for two', '--nonsense']) {
      const behind = await run(['generate', KJV, '-n', '3', '-b', 'cpu', '--', prompt]);
      expect(behind).toMatchObject({ code: 0, stdout: expect.stringMatching(`^${prompt}`) });
      const piped = await run(['generate', KJV, '-n', '3', '-b', 'cpu', '-'], prompt);
      expect(piped.stdout).toBe(behind.stdout);
    }
    const listed = await run(['generate', KJV, '-n', '3', '-b', 'cpu', '--stop', 'x', '--', 'And God said']);
    expect(listed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^And God said/) });
  });

  it('resolves escapes in stop strings', async () => {
    const newline = (await openTokenizer(checkpointStore(KJV)))!.idOf('\u010a')!;
    const args = ['generate', KJV, 'And', '-n', '3', '-b', 'cpu', '--logit-bias', `${newline}=100`];
    expect((await run(args)).stdout).toBe('And\n\n\n\n');
    for (const stop of ['\\n', '\n', '\\x0A', '\\u000a', '\\u{a}', '\\n\\u000A'])
      expect(await run([...args, '--stop', '\\t', stop])).toMatchObject({
        ...{ code: 0, stdout: 'And\n' },
        stderr: expect.stringContaining('ended by itself'),
      });
    // An escaped backslash, followed by n.
    expect((await run([...args, '--stop', '\\\\n'])).stdout).toBe('And\n\n\n\n');
  });

  it('skips a byte order mark', async () => {
    const mark = '\ufeff';
    const whole = await run(['generate', KJV, 'And God said', '-n', '4', '-b', 'cpu']);
    const piped = await run(['generate', KJV, '-', '-n', '4', '-b', 'cpu'], `${mark}And God said\r\n`);
    expect(piped.stdout).toBe(whole.stdout);
    const chats = [mark, ''].map((before) => run(['chat', KJV, '-n', '4', '-b', 'cpu'], `${before}And God said\n`));
    const [marked, plain] = await Promise.all(chats);
    expect(marked).toMatchObject({ code: 0, stdout: plain!.stdout });
    const text = 'And God said, Let there be light: and there was light.';
    const file = join(folder, 'marked.txt');
    await writeFile(file, mark + text);
    const scored = await run(['score', KJV, '-', '-b', 'cpu'], text);
    expect(scored.stdout).toContain('bytes predicted');
    for (const [path, input] of [
      ['-', mark + text],
      [file, ''],
    ] as const)
      expect((await run(['score', KJV, path, '-b', 'cpu'], input)).stdout).toBe(scored.stdout);
    expect((await run(['score', KJV, '-', '-b', 'cpu'], mark)).stderr).toContain('at least two');
  });

  it.skipIf(!existsSync('/dev/full'))('fails with a message where its output cannot be written', async () => {
    for (const args of [
      ['inspect', KJV],
      ['generate', KJV, 'x', '-n', '5000', '-b', 'cpu'],
    ]) {
      const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] });
      let stderr = '';
      child.stderr!.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      expect(await new Promise((resolve) => child.on('close', resolve))).toBe(1);
      expect(stderr).toMatch(/the output cannot be written: .*space/);
      expect(stderr).not.toMatch(/\n\s+at /);
    }
  });

  it('prints its version', async () => {
    const { version } = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect(await run(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n` });
  });

  it('prints help', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('generate') });
  });

  it('ends on Ctrl-C', async () => {
    const args = ['generate', KJV, 'And God said', '-n', '100000', '-b', 'cpu'];
    // Registered once: a second Ctrl-C kills a command that does not react.
    let sent = false;
    const outcome = await runAlone(args, (child, text) => {
      if (text.length > 40 && !sent) sent = child.kill('SIGINT');
    });
    expect(outcome).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
  });

  it('colours what it writes through a pipe only where FORCE_COLOR is set', async () => {
    const args = [BIN, 'generate', KJV, 'And', '-n', '8', '-b', 'cpu'];
    const env = { ...process.env, FORCE_COLOR: '1', NO_COLOR: '' };
    const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env });
    expect(stdout.replaceAll('\x1b', '␛')).toMatch(/^␛\[2mAnd␛\[22m ␛\[35m\S+␛\[39m /);
    const plain = await run(args.slice(1));
    expect(plain.stdout).toBe(stripVTControlCharacters(stdout));
    expect(plain.stdout).not.toContain('\x1b');
  });

  it.skipIf(hasDevice())('says nothing of native libraries where no driver is', async () => {
    // Dawn and the loader of Vulkan then warn on stderr, past everything that JavaScript can see.
    const env = { ...process.env, VK_DRIVER_FILES: '/none', VK_ICD_FILENAMES: '/none' };
    const [chosen, named] = [[], ['-b', 'webgpu']].map((flags) =>
      spawnSync(process.execPath, [BIN, 'generate', KJV, 'And', '-n', '2', ...flags], { encoding: 'utf8', env }),
    );
    expect(chosen).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/^\S+kjv-mamba on cpu .+\n2 tokens in .+\n$/),
    });
    expect(named).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^error: WebGPU has no adapter here.+\nsee docs\/errors.md#unavailable\n$/),
    });
  });

  it('ends quietly when its output is closed', async () => {
    const args = ['generate', KJV, 'And God said', '-n', '100000', '-b', 'cpu'];
    const outcome = await runAlone(args, (child, text) => text.length > 40 && child.stdout?.destroy());
    expect(outcome).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') });
  });
});
