import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { exampleReport } from '../../test/example-report.ts';
import { parseReport, parseReports, type Report } from './report.ts';
import { writeReport } from './write.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mamba-bench-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a report', () => {
  it('comes back as it was written', async () => {
    const report = exampleReport();
    const file = join(folder, 'report.json');
    writeReport(report, file);
    expect(parseReport(await readFile(file, 'utf8'), file)).toEqual(report);
    expect(await readdir(folder)).toEqual(['report.json']);
  });

  it('leaves the file that was there where it cannot be written', async () => {
    const file = join(folder, 'report.json');
    await writeFile(file, 'before');
    const broken = { ...exampleReport(), startedAt: 'yesterday' };
    expect(() => writeReport(broken, file)).toThrow();
    expect(() => writeReport(exampleReport(), join(folder, 'absent', 'report.json'))).toThrow(
      expect.objectContaining({ code: 'io' }),
    );
    expect(await readFile(file, 'utf8')).toBe('before');
    expect(await readdir(folder)).toEqual(['report.json']);
  });
});

describe('parseReport', () => {
  const edited = (edit: Record<string, unknown>): string => JSON.stringify({ ...exampleReport(), ...edit });

  it.each([
    ['no JSON', '{"kind":', 'x.json is not JSON'],
    ['null', 'null', 'is not a report of mamba-bench'],
    ['a result of versus', '{"kind":"mamba-versus"}', 'mamba-bench versus x.json shows it'],
    ['another tool’s file', '{"kind":"hyperfine"}', 'is not a report of mamba-bench'],
    [
      'a newer version',
      edited({ schemaVersion: 6, tool: { name: '@mamba/bench', version: '9.8.7' } }),
      'version 9.8.7',
    ],
    ['an older version', edited({ schemaVersion: 0 }), 'Run the benchmark again'],
    ['a missing field', edited({ machine: undefined }), 'machine'],
    ['a surplus field', edited({ extra: 1 }), 'extra'],
    [
      'a negative time',
      edited({ results: [{ ...(exampleReport().results[0] as object), time: -1 }] }),
      'results[0].time',
    ],
  ])('refuses %s in words', (_, text, message) => {
    expect(() => parseReport(text, 'x.json')).toThrow(message);
    expect(() => parseReport(text, 'x.json')).toThrow(expect.objectContaining({ code: 'invalid-file' }));
  });

  it.each([1, 2, 3, 4])('reads version %i, which is version 5 without some of its optional fields', (schemaVersion) => {
    expect(parseReport(edited({ schemaVersion }), 'x.json')).toEqual(exampleReport());
    const set = { kind: 'mamba-bench-set', schemaVersion, notes: [], reports: [{ ...exampleReport(), schemaVersion }] };
    expect(parseReports(JSON.stringify(set), 'x.json')).toEqual([exampleReport()]);
  });

  it('reads one report and a set of them alike, where either will do', () => {
    const report = exampleReport();
    const set = { kind: 'mamba-bench-set', schemaVersion: 5, notes: [], reports: [report, report] };
    expect(parseReports(JSON.stringify(report), 'x.json')).toEqual([report]);
    expect(parseReports(JSON.stringify(set), 'x.json')).toEqual([report, report]);
    expect(() => parseReport(JSON.stringify(set), 'x.json')).toThrow('is not a report');
    expect(() => parseReports(JSON.stringify({ ...set, reports: [{}] }), 'x.json')).toThrow('reports[0]');
  });

  it('keeps what an interrupted run has', () => {
    const report: Report = { ...exampleReport(), interrupted: true, results: [], slopes: [] };
    expect(parseReport(JSON.stringify(report), 'x.json')).toEqual(report);
  });
});
