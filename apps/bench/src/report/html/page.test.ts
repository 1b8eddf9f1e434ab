import { parseHTML } from 'linkedom';
import { expect, it } from 'vitest';
import { exampleReport } from '../../../test/example-report.ts';
import type { Result } from '../../schema/report.ts';
import { renderHtml } from './page.ts';

const pageOf = (reports: ReturnType<typeof exampleReport>[]) => {
  const html = renderHtml({ reports, notes: ['a note'] });
  return { html, document: parseHTML(html).document };
};

it('is one file that asks no network for anything', () => {
  const { html, document } = pageOf([exampleReport()]);
  expect(document.querySelectorAll('script, link, img, iframe')).toHaveLength(0);
  expect(html).not.toMatch(/url\(|@import|https?:\/\/(?!www\.w3\.org\/)/);
  expect(html).toContain('prefers-color-scheme: dark');
  expect(html).toContain('@media print');
});

it('draws time over length with a point for each measurement and the slope in words', () => {
  const { document } = pageOf([exampleReport()]);
  const figure = [...document.querySelectorAll('#scan figure')][0]!;
  const titles = [...figure.querySelectorAll('circle title')].map(({ textContent }) => textContent);
  expect(titles).toEqual(['webgpu, length 512: 2.00 ms', 'webgpu, length 131072: 500 ms']);
  expect(figure.textContent).toContain('slope 1.00');
});

it('draws the memory of a call over length apart from its time, each with its slope', () => {
  const report = exampleReport();
  const points = [
    [256, 2 ** 20],
    [1024, 2 ** 22],
  ] as const;
  const results = points.map(([length, peak]): Result => {
    const { memory, ...result } = report.results[0]!;
    const shape = { batch: 1, length, layers: 2, dModel: 64, vocabSize: 16 };
    return { ...result, suite: 'train', case: `train/heads-1x${length}`, shape, memory: { ...memory!, peak } };
  });
  const common = { suite: 'train', backend: 'webgpu', over: 'length', points: 2 };
  const slopes = [
    { ...common, slope: 0.25 },
    { ...common, slope: 1, of: 'memory' as const },
  ];
  const { document } = pageOf([{ ...report, results, slopes }]);
  const [time, memory] = [...document.querySelectorAll('#train figure')];
  expect(time!.textContent).toContain('slope 0.25');
  expect(memory!.textContent).toContain('slope 1.00');
  const titles = [...memory!.querySelectorAll('circle title')].map(({ textContent }) => textContent);
  expect(titles).toEqual(['webgpu, length 256: 1.00 MiB', 'webgpu, length 1024: 4.00 MiB']);
  // No tick lies outside of the plot.
  const ticks = [...memory!.querySelectorAll('text')].map(({ textContent }) => textContent);
  expect(ticks.filter((text) => / MiB$/.test(text))).toEqual(['1 MiB', '2 MiB', '4 MiB']);
  expect(document.querySelector('#train thead')!.textContent).toContain('at most');
  expect(document.querySelector('#train tbody')!.textContent).toContain('heads 1 × 256');
});

it('has every result in a table, and what failed without a time', () => {
  const { document } = pageOf([exampleReport()]);
  const rows = [...document.querySelectorAll('#scan tbody tr')].map(({ textContent }) => textContent);
  expect(rows).toHaveLength(exampleReport().results.length);
  expect(rows.some((row) => /disagrees: an error of/.test(row))).toBe(true);
});

it('puts machines side by side under letters', () => {
  const other = { ...exampleReport(), machine: { ...exampleReport().machine, cpu: 'Other CPU' } };
  const { document } = pageOf([exampleReport(), other]);
  expect([...document.querySelectorAll('.letter')].map(({ textContent }) => textContent)).toEqual(['A', 'B']);
  expect(document.querySelectorAll('#scan tbody tr')).toHaveLength(2 * exampleReport().results.length);
  expect(document.body.textContent).toContain('Side by side');
});

it('shows what a stranger wrote as text', () => {
  const evil = '<script>alert(1)</script>';
  const report = exampleReport();
  const edited = {
    ...report,
    machine: { ...report.machine, cpu: evil },
    backends: report.backends.map((backend) => ({ ...backend, description: evil, reason: evil })),
    results: report.results.map((result) => ({ ...result, case: `scan/${evil}`, reason: evil, dtype: evil })),
  };
  const { document } = pageOf([edited]);
  expect(document.querySelectorAll('script')).toHaveLength(0);
  expect(document.body.textContent).toContain(evil);
});
