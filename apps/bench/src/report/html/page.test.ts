import { parseHTML } from 'linkedom';
import { expect, it } from 'vitest';
import { exampleReport } from '../../../test/example-report.ts';
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
