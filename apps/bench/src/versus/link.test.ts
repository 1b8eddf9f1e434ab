import { expect, it } from 'vitest';
import { exampleVersus } from '../../test/example-versus.ts';
import { decodeLink, encodeLink } from './link.ts';

it('holds a whole result, and gives it back', async () => {
  const report = exampleVersus();
  const fragment = await encodeLink(report);
  expect(fragment).toMatch(/^v1\.[\w-]+$/);
  expect(await decodeLink(fragment)).toEqual(report);
});

it('keeps four digits of what was measured, and every byte', async () => {
  const report = exampleVersus();
  const [point] = report.points;
  point!.time!.median = 0.001234567;
  point!.memory!.peak = 123_456_789;
  const [back] = (await decodeLink(await encodeLink(report))).points;
  expect(back!.time!.median).toBe(0.001235);
  expect(back!.memory!.peak).toBe(123_456_789);
});

it('is short: a few letters for a point', async () => {
  const report = exampleVersus();
  const points = Array.from({ length: 300 }, (_, index) => {
    const median = 0.001 * (1 + ((index * 7919) % 1000));
    const time = { median, p10: median * 0.99, p90: median * 1.01, n: 7, callsPerSample: 3, first: median * 2 };
    return { ...report.points[0]!, length: 128 + index, time, memory: { peak: 1_000_003 * (index + 1) } };
  });
  const fragment = await encodeLink({ ...report, points });
  expect(fragment.length / points.length).toBeLessThan(40);
});

it.each([
  ['another fragment', async () => 'results', 'holds no comparison'],
  ['a later form', async () => 'v2.AAAA', 'holds no comparison'],
  ['a link that was cut off', async () => (await encodeLink(exampleVersus())).slice(0, 200), 'damaged'],
  ['letters that are no base64', async () => 'v1.???', 'damaged'],
  ['another object', async () => encodeLink({ kind: 'x', points: [], systems: [], backends: [] } as never), 'damaged'],
  ['a bomb', async () => encodeLink({ ...exampleVersus(), startedAt: 'x'.repeat(2 ** 23 + 1) }), 'damaged'],
])('refuses %s', async (_, make, message) => {
  await expect(decodeLink(await make())).rejects.toThrow(message);
  await expect(decodeLink(await make())).rejects.toMatchObject({ code: 'invalid-file' });
});
