import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { exampleVersus } from '../../../test/example-versus.ts';
import { parseVersus, type TaskRow, type VersusReport } from '../../schema/versus.ts';
import { RECIPES } from '../../versus/tasks/recipes.ts';
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

describe('what models learnt', () => {
  const learnt = (system: string, label: string, others: Partial<TaskRow>): TaskRow => ({
    ...{ task: 'selective-copying', system, label, backend: 'cpu', layers: 2, parameters: 67_520, state: 2048 },
    ...{ status: 'measured', ...others },
  });
  const accuracy = (right: number) => [64, 128, 256, 512, 1024].map((length) => ({ length, answers: 128, right }));
  const report: VersusReport = {
    ...exampleVersus(),
    recipes: [...RECIPES],
    tasks: [
      learnt('mamba', 'Mamba', { perSecond: 6000, accuracy: accuracy(128) }),
      learnt('lstm', 'LSTM', { perSecond: 2000, accuracy: accuracy(64) }),
      learnt('gru', 'GRU', { status: 'stopped', expected: 300, perSecond: 1000, reason: 'too slow' }),
      learnt('mamba', 'Mamba', {
        ...{ task: 'language', perSecond: 500 },
        heldOut: [128, 2048].map((length) => ({ length, targets: 65_536, bitsPerByte: 2.125 })),
      }),
    ],
  };

  it('is a table for each task with its recipe, and comes back as it was written', () => {
    expect(parseVersus(JSON.stringify(report), 'the report')).toEqual(report);
    const markdown = renderVersusMarkdown([report]);
    expect(markdown).toContain('| Mamba | 67,520 | 6.00 k | 100 % | 100 % | 100 % | 100 % | 100 % |');
    expect(markdown).toContain('| LSTM | 67,520 | 2.00 k | 50 % |');
    expect(markdown).toContain('| GRU | 67,520 | 1.00 k | ≈ 300 s |');
    expect(markdown).toContain('| Mamba | 67,520 | 2.00 KiB | 500 | 2.125 | 2.125 |');
    expect(markdown).toContain('1,200 steps of 32 × 64 tokens');
  });

  it('shares a table between machines of one recipe', () => {
    const other = { ...report, machine: { ...report.machine, cpu: 'another processor' } };
    const markdown = renderVersusMarkdown([report, other]);
    expect(markdown.split('**Selective copying')).toHaveLength(2);
    expect(markdown).toContain('| system | on | parameters |');
  });

  it('is told in the claims', () => {
    const text = (part: string) => CLAIMS.find(({ claim }) => claim.includes(part))!.measured(report, 'cpu');
    expect(text('fewer tokens a second')).toBe(
      'Mamba 3.00 times as many as LSTM (selective-copying); Mamba 6.00 times as many as GRU (selective-copying)',
    );
    expect(text('RNNs forget')).toBe(
      'Mamba 100 % at 64 and 100 % at 1,024 (selective-copying); LSTM 50 % at 64 and 50 % at 1,024 (selective-copying)',
    );
    expect(text('as good as what its state holds')).toBe('Mamba 2.125 bits per byte with 2.00 KiB');
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
