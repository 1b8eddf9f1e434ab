/** The command as a user runs it, from the built package. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { FIXTURES, golden, rows } from './helpers.ts';

const BIN = fileURLToPath(new URL('../bin/mamba-lm.js', import.meta.url));
const KJV = `${FIXTURES}/kjv-mamba`;

interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `onText` is called with what was printed so far; it may kill the process or close its output. */
function run(
  args: readonly string[],
  onText?: (child: ReturnType<typeof spawn>, text: string) => void,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [BIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
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

describe('mamba-lm', () => {
  it('prints the prompt and its continuation, and statistics apart', async () => {
    const { code, stdout, stderr } = await run(['generate', KJV, 'And God said', '-n', '8', '-b', 'reference']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^And God said unto him, .*\n$/s);
    expect(stderr).toMatch(/8 tokens in .* tokens\/s/);
    expect(stderr).toContain('on reference');
  });

  it('finds a backend by itself', async () => {
    const { code, stderr } = await run(['generate', `${FIXTURES}/mamba-tiny`, '5', '--ids', '-n', '1']);
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

  it.each([
    ['a folder that is not there', ['generate', '/nowhere', 'x', '-b', 'cpu'], 1, 'config.json'],
    ['text without a tokenizer', ['generate', `${FIXTURES}/mamba-tiny`, 'x', '-b', 'cpu'], 1, 'tokenizer.json'],
    ['ids that are words', ['generate', `${FIXTURES}/mamba-tiny`, 'x', '--ids', '-b', 'cpu'], 1, 'token ids'],
    ['an id outside the vocabulary', ['generate', `${FIXTURES}/mamba-tiny`, '96', '--ids', '-b', 'cpu'], 1, '96'],
    ['a backend that is not installed', ['generate', KJV, 'x', '-b', 'nonsense'], 1, 'npm install nonsense'],
    ['a backend path that is not there', ['generate', KJV, 'x', '-b', './nonsense.js'], 1, 'cannot be loaded'],
    ['a file that is not there', ['score', KJV, '/nowhere.txt', '-b', 'cpu'], 1, 'nowhere.txt'],
    ['a count that is none', ['generate', KJV, 'x', '-n', '-3'], 2, 'at least 1'],
    ['a filter at temperature 0', ['generate', KJV, 'x', '--top-k', '4', '-b', 'cpu'], 1, 'temperature'],
    ['an unknown option', ['generate', KJV, 'x', '--nonsense'], 2, '--nonsense'],
    ['no command', [], 2, 'Usage'],
  ])('says what is wrong with %s, without a stack', async (_, args, code, words) => {
    const outcome = await run(args);
    expect(outcome).toMatchObject({ code, stdout: '' });
    expect(outcome.stderr).toContain(words);
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });

  it('helps', async () => {
    expect(await run(['--help'])).toMatchObject({ code: 0, stdout: expect.stringContaining('generate') });
  });

  it('ends on Ctrl-C', async () => {
    const args = ['generate', KJV, 'And God said', '-n', '100000', '-b', 'cpu'];
    // Once: the second Ctrl-C is the way out of a command that does not listen.
    let sent = false;
    const outcome = await run(args, (child, text) => {
      if (text.length > 40 && !sent) sent = child.kill('SIGINT');
    });
    expect(outcome).toMatchObject({ code: 130, stderr: expect.stringContaining('interrupted') });
  });

  it('ends quietly where its output is closed', async () => {
    const args = ['generate', KJV, 'And God said', '-n', '100000', '-b', 'cpu'];
    const outcome = await run(args, (child, text) => text.length > 40 && child.stdout?.destroy());
    expect(outcome).toMatchObject({ code: 0, stderr: expect.not.stringContaining('error') });
  });
});
