import { parseHTML } from 'linkedom';
import { expect, it } from 'vitest';
import { exampleReport } from '../../../test/example-report.ts';
import type { Report, Result } from '../../schema/report.ts';
import { renderHtml } from './page.ts';

const pageOf = (reports: ReturnType<typeof exampleReport>[]) => {
  const html = renderHtml({ reports, notes: ['a note'] });
  return { html, document: parseHTML(html).document };
};

/** The report with a model that writes so many tokens a second on cpu. */
function withModel(report: Report, perSecond: number): Report {
  const shape = { layers: 24, dModel: 768, vocabSize: 50280, batch: 1, length: 32 };
  const decode: Result = {
    ...report.results[1]!,
    suite: 'model',
    case: 'model/decode-32-layers-24',
    shape,
    rate: { perSecond, unit: 'tokens/s' },
  };
  return { ...report, results: [...report.results, decode] };
}

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
  const titles = [...figure.querySelectorAll('.wide circle title')].map(({ textContent }) => textContent);
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
  const titles = [...memory!.querySelectorAll('.wide circle title')].map(({ textContent }) => textContent);
  expect(titles).toEqual(['webgpu, length 256: 1.00 MiB', 'webgpu, length 1024: 4.00 MiB']);
  // No tick lies outside of the plot.
  const ticks = [...memory!.querySelectorAll('.wide text')].map(({ textContent }) => textContent);
  expect(ticks.filter((text) => / MiB$/.test(text))).toEqual(['1 MiB', '2 MiB', '4 MiB']);
  // However few lengths there are, the axis tells which.
  expect(ticks.filter((text) => /^2[⁰¹²³⁴-⁹]/.test(text))).toEqual(['2⁸', '2⁹', '2¹⁰']);
  expect(document.querySelector('#train thead')!.textContent).toContain('at most');
  expect(document.querySelector('#train tbody')!.textContent).toContain('heads 1 × 256');
});

it('has every result in a table, and what failed without a time', () => {
  const { document } = pageOf([exampleReport()]);
  const rows = [...document.querySelectorAll('#scan tbody tr')].map(({ textContent }) => textContent);
  expect(rows).toHaveLength(exampleReport().results.length);
  expect(rows.some((row) => /disagrees: an error of/.test(row))).toBe(true);
});

it('begins with tokens a second, beside those of the first machine', () => {
  const [fast, slow] = [20, 10].map((perSecond) => withModel(exampleReport(), perSecond));
  const { document } = pageOf([fast!, { ...slow!, machine: { ...slow!.machine, cpu: 'Other CPU' } }]);
  const [first, second] = [...document.querySelectorAll('.headline')].map(({ textContent }) => textContent);
  expect(first).toBe('20.0 tokens a second, writing on cpuby a model of the shape of mamba-130m, in float32');
  expect(second).toContain('10.0 tokens a second, writing on cpu 0.500× A');
});

it('draws what a token takes after a context, and a computed cache beside the state', () => {
  const report = exampleReport();
  const contexts = [1024, 2 ** 20].map((context): Result => {
    const [{ memory, ...result }] = report.results as [Result, ...Result[]];
    const shape = { layers: 2, dModel: 64, vocabSize: 256, batch: 1, length: 256, context };
    const id = `context/decode-256-after-${context}-layers-2-d64`;
    return { ...result, suite: 'context', case: id, shape, memory: { ...memory!, state: 19456 } };
  });
  const { document } = pageOf([{ ...report, results: contexts }]);
  const [time, memory] = [...document.querySelectorAll('#context figure')];
  expect([...time!.querySelectorAll('.wide circle title')].map(({ textContent }) => textContent)).toEqual([
    'webgpu, 1,024: 7.81 µs',
    'webgpu, 1,048,576: 7.81 µs',
  ]);
  expect(memory!.textContent).toContain('a Transformer’s cache, computed');
  // Points are measured; the cache has none.
  expect(memory!.querySelectorAll('.wide circle')).toHaveLength(2);
  expect(document.querySelector('#context tbody')!.textContent).toContain('after 2^20');
});

it('says what each suite tells, and shows in red what failed, and not what is left out by design', () => {
  const report = exampleReport();
  const skipped: Result = { ...report.results[3]!, status: 'skipped', reason: 'it takes 9 GiB' };
  const { document } = pageOf([{ ...report, results: [...report.results, { ...skipped, case: 'scan/length-2' }] }]);
  expect(document.querySelector('#scan')!.textContent).toContain('Tells whether the time of the recurrence');
  const red = [...document.querySelectorAll('#scan .bad')].map(({ textContent }) => textContent);
  expect(red.map((text) => text!.split(':')[0])).toEqual(['disagrees', 'failed']);
  expect(document.querySelector('#scan')!.textContent).toContain('skipped: it takes 9 GiB');
});

it('draws each chart twice: for a window or paper, and for a phone with its labels in a legend', () => {
  const { document } = pageOf([exampleReport()]);
  const [wide, narrow] = [...document.querySelectorAll('#scan figure svg')];
  expect([wide!.getAttribute('width'), narrow!.getAttribute('width')]).toEqual(['760', '330']);
  expect(narrow!.textContent).not.toContain('slope');
  expect(document.querySelector('#scan .legend.narrow')!.textContent).toContain('slope 1.00');
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
