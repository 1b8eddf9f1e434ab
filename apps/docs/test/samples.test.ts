/** Every sample of code that the site and the README show runs, or its fence says that it is a fragment, and why. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { useSwiftShader } from '@mamba/software-gpu';
import { beforeAll, describe, expect, test } from 'vitest';
import { root } from '../../../scripts/lib.mjs';
import { documents } from '../scripts/documents.mjs';
import { runSample, samplesIn } from './samples.ts';

const samples = ['README.md', ...documents()].flatMap((document) =>
  samplesIn(readFileSync(join(root, document), 'utf8')).map((sample) => ({
    ...sample,
    place: `${document}:${sample.line}`,
  })),
);

describe('the finder of samples', () => {
  test('reads the language, the code and the reason', () => {
    const text = '# x\n\n```js fragment: it needs a page\nf();\n```\n\n- a\n  ```sh\n  g\n  ```\n```text\nno\n```\n';
    expect(samplesIn(text)).toEqual([
      { language: 'js', line: 4, code: 'f();\n', reason: 'it needs a page' },
      { language: 'sh', line: 9, code: 'g\n', reason: undefined },
    ]);
  });
  test('finds samples that run, and rejects one that fails', async () => {
    expect(samples.filter(({ reason }) => reason === undefined).length).toBeGreaterThan(5);
    await expect(runSample({ language: 'js', line: 1, code: 'throw 1;', reason: undefined }, root)).rejects.toThrow();
    await expect(
      runSample({ language: 'sh', line: 1, code: 'false\ntrue', reason: undefined }, root),
    ).rejects.toThrow();
  });
});

describe('a sample runs', () => {
  beforeAll(() => {
    useSwiftShader();
  });
  test.each(samples.filter(({ reason }) => reason === undefined))('$place', async (sample) => {
    expect(['js', 'sh'], 'mark samples of other languages as fragments').toContain(sample.language);
    await runSample(sample, root);
  });
});

test('the backend of the guide passes what the guide says that it passes', async () => {
  const guide = readFileSync(join(root, 'docs/writing-a-backend.md'), 'utf8');
  const { code } = samplesIn(guide).find((sample) => sample.code.startsWith('// mine.mjs'))!;
  const [, command] = guide.match(/`npx (mamba-conformance --backend \.\/mine\.mjs[^`]+)`/)!;
  const script = `cat > mine.mjs <<'END'\n${code}END\n${command}\n`;
  expect(await runSample({ language: 'sh', line: 1, code: script, reason: undefined }, root)).toMatch(
    /: [1-9]\d* comparisons passed/,
  );
});

test('a fragment says why it is not run', () => {
  const silent = samples.filter(({ reason }) => reason !== undefined && reason.split(' ').length < 3);
  expect(silent.map(({ place }) => place)).toEqual([]);
});
