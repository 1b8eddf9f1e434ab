import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { exampleVersus } from '../../../test/example-versus.ts';
import { parseVersus } from '../../schema/versus.ts';
import { CLAIMS } from './claims.ts';
import { NOT_MEASURED, renderVersusMarkdown, replaceGenerated } from './markdown.ts';

const docs = fileURLToPath(new URL('../../../../../docs', import.meta.url));

describe('docs/versus.md', () => {
  const results = join(docs, 'performance', 'results');
  const files = readdirSync(results)
    .filter((name) => /^versus-.*\.json$/.test(name))
    .sort();

  it('says what the results say', () => {
    expect(files.length).toBeGreaterThan(0);
    const reports = files.map((name) => parseVersus(readFileSync(join(results, name), 'utf8'), name));
    const document = readFileSync(join(docs, 'versus.md'), 'utf8');
    expect(replaceGenerated(document, renderVersusMarkdown(reports))).toBe(document);
  });
});

describe('the claims', () => {
  const text = (part: string, report = exampleVersus()) =>
    CLAIMS.find(({ claim }) => claim.includes(part))!.measured(report, 'cpu');

  it('are told by the numbers of a result', () => {
    expect(text('Time of a whole sequence')).toBe('Mamba grows as length^1.00; attention grows as length^2.00');
    expect(text('A step takes constant')).toContain(
      'Mamba: 200 µs after 128 tokens, 200 µs after 1,024, with 1.95 KiB',
    );
    expect(text('FlashAttention-2')).toMatch(/faster from 328 tokens on; 1.56 times attention's time/);
    expect(text('4 to 5 times')).toBe('2.00 times with 1 × 2,048 to 5.00 times with 16 × 2,048');
    expect(text('RNNs')).toBeUndefined();
  });

  it('say where nothing was measured', () => {
    const nothing = { ...exampleVersus(), points: [], crossings: [], generation: [] };
    for (const { measured } of CLAIMS) expect(measured(nothing, 'cpu')).toBeUndefined();
    const markdown = renderVersusMarkdown([nothing]);
    expect(markdown.split(NOT_MEASURED)).toHaveLength(CLAIMS.length + 1);
  });
});

it('renders refused lengths, crossings and generation as tables', () => {
  const markdown = renderVersusMarkdown([exampleVersus()]);
  expect(markdown).toContain('| attention | 500 µs | 2.00 ms | 8.00 ms | ✕ 8.00 GiB |');
  expect(markdown).toContain('| attention | from 328: 1.56× | ');
  expect(markdown).toContain('| 2,048 + 128 | 16 | 1.02 k | 205 | 5.00× |');
  // Every row of a table has as many cells as its head.
  for (const table of markdown.split('\n\n').filter((block) => block.startsWith('|')))
    expect(new Set(table.split('\n').map((row) => row.split(/(?<!\\)\|/).length)).size).toBe(1);
});
