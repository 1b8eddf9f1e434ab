import { describe, expect, it } from 'vitest';
import { exampleReport, slowedReport } from '../../test/example-report.ts';
import { compareReports, regressions } from './compare.ts';
import { mergeReports } from './merge.ts';

describe('compareReports', () => {
  it('finds a run as fast as itself', () => {
    const { rows, broken, onlyFirst, onlySecond, warnings } = compareReports(exampleReport(), exampleReport());
    expect(rows.map(({ ratio, verdict }) => [ratio, verdict])).toEqual(Array(4).fill([1, 'same']));
    expect([broken, onlyFirst, onlySecond, warnings]).toEqual([[], [], [], []]);
  });

  it('tells a change from noise by the spread', () => {
    // The example's p10 and p90 are 5 % below and 10 % above the median.
    const within = compareReports(exampleReport(), slowedReport(1.12));
    expect(within.rows.map(({ verdict }) => verdict)).toEqual(Array(4).fill('same'));
    expect(regressions(within, 0)).toEqual([]);
    const beyond = compareReports(exampleReport(), slowedReport(1.2));
    expect(beyond.rows[0]).toMatchObject({ verdict: 'slower', ratio: expect.closeTo(1.2, 10) });
    expect(beyond.rows[0]!.low).toBeCloseTo((1.2 * 0.95) / 1.1, 10);
    expect(beyond.rows[0]!.high).toBeCloseTo((1.2 * 1.1) / 0.95, 10);
    expect(regressions(beyond, 0.1)).toHaveLength(4);
    expect(regressions(beyond, 0.25)).toHaveLength(0);
    expect(compareReports(exampleReport(), slowedReport(0.5)).rows[0]).toMatchObject({ verdict: 'faster' });
  });

  it('never takes one sample for a regression', () => {
    const report = slowedReport(3);
    for (const { time } of report.results) if (time !== undefined) time.n = 1;
    expect(regressions(compareReports(exampleReport(), report), 0.1)).toEqual([]);
  });

  it('takes more memory of a call for a regression, which has no spread', () => {
    const withPeak = (peak: number) => {
      const report = exampleReport();
      report.results[0]!.memory!.peak = peak;
      return report;
    };
    const comparison = compareReports(withPeak(1000), withPeak(1200));
    expect(comparison.rows.map(({ memory }) => memory)).toEqual([1.2, undefined, undefined, undefined]);
    expect(regressions(comparison, 0.1)).toEqual([comparison.rows[0]]);
    expect(regressions(comparison, 0.25)).toEqual([]);
    expect(regressions(compareReports(withPeak(1200), withPeak(1000)), 0)).toEqual([]);
    expect(compareReports(exampleReport(), withPeak(1000)).rows[0]!.memory).toBeUndefined();
  });

  it('lists what is on one side alone, and what broke', () => {
    const second = exampleReport();
    const [first, cpu, long, ...others] = second.results;
    const renamed = { ...long!, case: 'scan/length-7' };
    const failed = { ...cpu!, status: 'failed' as const, reason: 'out of luck', time: undefined };
    const comparison = compareReports(exampleReport(), { ...second, results: [first!, failed, renamed, ...others] });
    expect(comparison.onlyFirst).toEqual(['scan/length-131072 · webgpu · float32']);
    expect(comparison.onlySecond).toEqual(['scan/length-7 · webgpu · float32']);
    expect(comparison.broken).toEqual([failed]);
  });

  it('warns where the two are not one experiment', () => {
    const report = exampleReport();
    const other = {
      ...report,
      interrupted: true,
      machine: { ...report.machine, cpu: 'Other', load: 9 },
      settings: { ...report.settings, effort: 'quick' as const },
      tool: { ...report.tool, version: '9.0.0' },
    };
    expect(compareReports(report, other).warnings).toHaveLength(5);
  });
});

describe('mergeReports', () => {
  const at = (time: string, edit: Partial<ReturnType<typeof exampleReport>> = {}) => ({
    origin: `${time}.json`,
    report: { ...exampleReport(), startedAt: `2026-11-23T${time}:00.000Z`, ...edit },
  });

  it('keeps machines apart, whatever the order', () => {
    const other = { ...exampleReport().machine, engine: { name: 'Chromium', version: '147' } };
    const { reports, notes } = mergeReports([at('12:00', { machine: other }), at('11:00')]);
    expect(reports.map(({ machine }) => machine.engine.name)).toEqual(['node', 'Chromium']);
    expect(notes).toEqual([]);
  });

  it('takes the newer of what one machine measured twice, keeps the rest, and says so', () => {
    const older = at('10:00', { settings: { suites: ['model'], effort: 'quick' } });
    const results = slowedReport(2).results.slice(0, 1);
    const newer = at('11:00', { results, slopes: [] });
    const { reports, notes } = mergeReports([newer, older]);
    expect(reports).toHaveLength(1);
    expect(reports[0]!.results).toHaveLength(older.report.results.length);
    const again = reports[0]!.results.find(({ case: id, backend }) => id === 'scan/length-512' && backend === 'webgpu');
    expect(again!.time!.median).toBe(results[0]!.time!.median);
    expect(reports[0]!.settings.suites).toEqual(['model', 'scan']);
    expect(reports[0]!.slopes).toEqual(older.report.slopes);
    expect(notes).toEqual([expect.stringContaining('of 1 cases measured twice the newer run is kept')]);
  });

  it('takes one run given twice once, and runs of other versions both', () => {
    const twice = mergeReports([at('10:00'), { ...at('10:00'), origin: 'copy.json' }]);
    expect(twice.reports).toHaveLength(1);
    expect(twice.notes).toEqual([expect.stringContaining('taken once')]);
    const tool = { name: '@mamba/bench', version: '0.2.0' };
    const versions = mergeReports([at('10:00'), at('11:00', { tool })]);
    expect(versions.reports).toHaveLength(2);
    expect(versions.notes).toEqual([expect.stringContaining('other versions (bench 0.2.0')]);
  });
});
