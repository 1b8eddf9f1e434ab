import { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createProgress, renderBar } from './progress.ts';
import { styleFor } from './style.ts';

const style = styleFor({ isTTY: false }, {});
const payload = { label: 'scan/length-131072: checking cpu-revectorized@2', left: '59 min 59 s left' };

describe('the bar', () => {
  it.each([20, 40, 60, 80, 200])('fits one line of %i columns', (width) => {
    for (const progress of [0, 0.5, 1]) {
      const line = renderBar(progress, payload, { style, width });
      expect(line.length).toBeLessThan(width);
      expect(line).toContain(`${Math.round(progress * 100)} %`);
    }
  });

  it('says what goes on and how long it takes, in colour where that is wanted', () => {
    const line = renderBar(0.25, payload, { style, width: 120 });
    expect(line).toContain(payload.label);
    expect(line).toContain(payload.left);
    const coloured = renderBar(0.25, payload, { style: styleFor({ isTTY: true }, {}), width: 120 });
    expect(stripVTControlCharacters(coloured)).toBe(line);
    expect(coloured).not.toBe(line);
  });
});

it('writes a line for each case where there is no terminal, with what is done and by whom', () => {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _, done) {
      text += chunk.toString();
      done();
    },
  });
  const progress = createProgress(stream, style);
  progress.step('limits of this machine');
  progress.begin(90);
  progress.step('scan/length-512: reference');
  progress.step('scan/length-512: checking cpu');
  progress.step('scan/length-512: timing');
  progress.step('scan/length-1024: reference');
  progress.suspend(() => stream.write('a table\n'));
  progress.step('conv/length-512: timing');
  progress.end();
  expect(text.split('\n')).toEqual([
    '  limits of this machine',
    'measuring, about 1 min 30 s …',
    '  scan/length-512: reference, checking cpu, timing',
    '  scan/length-1024: reference',
    'a table',
    '  conv/length-512: timing',
    '',
  ]);
});
