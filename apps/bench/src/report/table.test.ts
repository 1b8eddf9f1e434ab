import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { exampleReport } from '../../test/example-report.ts';
import { styleFor } from './style.ts';
import {
  type Look,
  renderBackends,
  renderCeilings,
  renderHeading,
  renderHeadline,
  renderLegend,
  renderSuite,
} from './table.ts';

const plain = (width: number): Look => ({ style: styleFor({ isTTY: false }, {}), width });
const colourful: Look = { style: styleFor({ isTTY: true }, {}), width: 80 };

function renderAll(look: Look): string {
  const report = exampleReport();
  return [
    renderHeading(report, look),
    renderBackends(report.backends, look),
    renderCeilings(report.ceilings, report.backends, look),
    renderSuite('scan', report, look),
    renderLegend(report, look),
  ].join('\n');
}

describe('the tables', () => {
  it.each([60, 80, 120])('fit %i columns', (width) => {
    for (const line of renderAll(plain(width)).split('\n')) {
      expect(line.length, line).toBeLessThanOrEqual(width);
      expect(line).toBe(line.trimEnd());
    }
  });

  it('say the same in colour, and have none where none is wanted', () => {
    const coloured = renderAll(colourful);
    expect(coloured).toContain('\u001b[');
    expect(stripVTControlCharacters(coloured)).toBe(renderAll(plain(80)));
  });

  it('compare fast backends with each other alone', () => {
    const lines = renderSuite('scan', exampleReport(), plain(120)).split('\n');
    const row = (length: string, backend: string) =>
      lines.find((line) => line.trim().startsWith(length) && line.includes(backend));
    expect(lines[2]).toContain('vs best');
    expect(row('2^9', 'webgpu')).toContain('best');
    expect(row('2^9', 'cpu')).toContain('2.00×');
    expect(row('2^9', 'reference')).not.toMatch(/×|best/);
  });

  it('show what failed and what disagreed, without a time', () => {
    const text = renderSuite('scan', exampleReport(), plain(120));
    expect(text).toMatch(/2\^17 +cpu +disagrees: an error of 2\.0e-2/);
    expect(text).toMatch(/2\^10 +reference \(float64\) +failed: there was not enough memory/);
  });

  it('say in one line what the suite tells', () => {
    expect(renderSuite('scan', exampleReport(), plain(120)).split('\n')[1]).toMatch(/^ {2}Tells whether the time/);
  });

  it('show in red what failed, and not what is left out by design', () => {
    const report = exampleReport();
    report.results[3] = { ...report.results[3]!, status: 'skipped', reason: 'it takes 9 GiB' };
    const lines = renderSuite('scan', report, colourful).split('\n');
    const red = lines.filter((line) => line.includes('\u001b[31m')).map(stripVTControlCharacters);
    expect(red.length).toBeGreaterThan(0);
    expect(red.join()).toContain('failed: there was not enough');
    expect(red.join()).not.toContain('skipped');
  });

  it('show the memory of the tensors of a case, whatever the backend still holds of those before', () => {
    const report = exampleReport();
    const held = { reserved: 96 * 2 ** 20, process: 0 };
    const results = [88, 25].map((mebibytes, index) => ({
      ...report.results[0]!,
      ...{ suite: 'quantised', case: `quantised/decode-8-layers-2`, dtype: ['float16', 'q4'][index]! },
      ...{ shape: { layers: 2, dModel: 768, vocabSize: 50280 }, memory: { ...held, tensors: mebibytes * 2 ** 20 } },
    }));
    const text = renderSuite('quantised', { ...report, results }, plain(120));
    expect(text).toMatch(/float16 .* 88\.0 MiB/);
    expect(text).toMatch(/q4 .* 25\.0 MiB/);
  });

  it('end with tokens a second, by the text where no model was measured', () => {
    const text = renderHeadline(exampleReport(), plain(80));
    expect(text).toBe('  200 tokens/s written\n  by c, on webgpu');
    expect(renderHeadline({ ...exampleReport(), generation: undefined }, plain(80))).toBe('');
  });

  it('say why a backend is not here', () => {
    expect(renderAll(plain(80))).toContain('other      not here: it lacks something. Install it.');
  });

  it('explain a share beyond the limit where there is one', () => {
    const report = exampleReport();
    expect(renderLegend(report, plain(80))).not.toContain('cache');
    report.results[0]!.ceiling!.share = 1.2;
    expect(renderLegend(report, plain(80))).toContain('cache');
  });

  it('warn of a busy machine', () => {
    const { machine } = exampleReport();
    expect(renderHeading({ machine }, plain(80))).not.toContain('other work');
    expect(renderHeading({ machine: { ...machine, load: 5 } }, plain(80))).toContain('other work is running');
  });
});

describe('colours', () => {
  const isColoured = (isTTY: boolean, environment: Record<string, string>) =>
    styleFor({ isTTY }, environment).red('x') !== 'x';

  it('are for terminals, unless the environment says otherwise', () => {
    expect(isColoured(true, {})).toBe(true);
    expect(isColoured(false, {})).toBe(false);
    expect(isColoured(true, { NO_COLOR: '1' })).toBe(false);
    expect(isColoured(true, { NO_COLOR: '' })).toBe(true);
    expect(isColoured(true, { TERM: 'dumb' })).toBe(false);
    expect(isColoured(false, { FORCE_COLOR: '1' })).toBe(true);
    expect(isColoured(false, { FORCE_COLOR: '0' })).toBe(false);
  });
});
