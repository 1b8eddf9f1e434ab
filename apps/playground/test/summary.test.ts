import { expect, it, describe as suite } from 'vitest';
import { colour, contrast, type Rgb, ramp, type Theme } from '../src/selection/colour.ts';
import { describe, openness, position, ranges } from '../src/selection/summary.ts';

const MAP = { tokens: 4, layers: [Float32Array.of(1, 3, 2, 1), Float32Array.of(10, 30, 10, 10)] };
const THEMES: readonly Theme[] = ['light', 'dark'];

suite('a heat map', () => {
  it('spans each layer by itself, or all together', () => {
    expect(ranges(MAP, 'layer')).toEqual([
      { min: 1, max: 3 },
      { min: 10, max: 30 },
    ]);
    expect(ranges(MAP, 'all')).toEqual([
      { min: 1, max: 30 },
      { min: 1, max: 30 },
    ]);
    expect([position(1, { min: 1, max: 3 }), position(2, { min: 1, max: 3 }), position(5, { min: 5, max: 5 })]).toEqual(
      [0, 0.5, 0],
    );
  });

  it('counts every layer alike, whatever the size of its steps', () => {
    expect([...openness(MAP)]).toEqual([0, 1, 0.25, 0]);
  });

  it('is described by the tokens that matter, and by its ranges', () => {
    expect(describe(MAP, ['In', ' God', '\n', 'x'])).toBe(
      'Heat map of delta for 4 tokens in 2 layers. Let in most: “␣God” (token 2), “↵” (token 3). ' +
        'Passed over most: “x” (token 4), “In” (token 1). Range by layer: 1: 1.00 to 3.00; 2: 10.0 to 30.0.',
    );
    expect(describe({ tokens: 1, layers: [Float32Array.of(1)] }, ['In'])).toBe(
      'Heat map of delta for 1 token in 1 layer. Range by layer: 1: 1.00 to 1.00.',
    );
  });

  it.each(THEMES)(
    'has ink of enough contrast on every colour of the %s ramp, and grows steadily apart from the first',
    (theme) => {
      let before = 0;
      for (let step = 0; step <= 100; step++) {
        const { fill, ink } = colour(step / 100, theme);
        const rgb = fill.match(/\d+/g)!.map(Number) as unknown as Rgb;
        expect(contrast(rgb, ink === '#fff' ? [255, 255, 255] : [0, 0, 0])).toBeGreaterThan(4.5);
        const first = colour(0, theme).fill.match(/\d+/g)!.map(Number) as unknown as Rgb;
        expect(contrast(rgb, first)).toBeGreaterThanOrEqual(before);
        before = contrast(rgb, first);
      }
      expect(ramp(theme)).toHaveLength(5);
    },
  );
});
