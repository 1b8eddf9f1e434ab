import { describe, expect, test } from 'vitest';
import { planTiles, type Turned, turnsWeight } from './linear-plan.ts';
import type { MatrixUnits } from './matrix-units.ts';

const gpu = { maxBinding: 2 ** 31 };
const halves: MatrixUnits = { precision: 'float16', pairs: false, side: 4 };

function planned(rows: number, depth: number, outputs: number, units?: MatrixUnits, turned: Turned = {}) {
  return planTiles({ gpu, matrixUnits: units }, { rows, depth, outputs }, turned);
}

describe('the plan of a product', () => {
  test.each([undefined, halves])('cuts the inputs of a few tiles so that no part is empty, with %o', (units) => {
    // out_proj, in_proj and x_proj of 64 rows of mamba-130m: 48, 24 and 48 slices of inputs.
    expect(planned(64, 1536, 768, units)).toMatchObject({ extent: 64, splits: 16 });
    expect(planned(64, 768, 3072, units)).toMatchObject({ extent: 64, splits: 6 });
    expect(planned(64, 1536, 80, units)).toMatchObject({ extent: 64, splits: 24 });
  });

  test('leaves no part of a turned product empty', () => {
    const turned = { X_TURNED: true, WEIGHT_TURNED: true };
    for (const depth of [700, 16384, 20000]) {
      const { splits, extent } = planned(768, depth, 3072, undefined, turned);
      const slices = Math.ceil(depth / (extent === 128 ? 16 : 32));
      expect(Math.ceil(slices / Math.ceil(slices / splits))).toBe(splits);
    }
  });

  test('takes large tiles where they fill a device and no half of them is empty, and all inputs at once', () => {
    const head = { depth: 768, outputs: 50280 };
    expect(planned(65, head.depth, head.outputs, halves)).toEqual({
      shader: 'matrix',
      side: 4,
      extent: 128,
      splits: 1,
    });
    expect(planned(64, head.depth, head.outputs, halves)).toMatchObject({ extent: 64, splits: 1 });
  });

  test('takes the tiles that are forced, in as many parts as have inputs', () => {
    const sizes = { rows: 64, depth: 768, outputs: 50280 };
    const context = { gpu, matrixUnits: halves };
    const splits = (wanted: number) =>
      planTiles({ ...context, productVariant: { extent: 64, splits: wanted } }, sizes, {});
    expect(splits(1)).toEqual({ shader: 'matrix', side: 2, extent: 64, splits: 1 });
    expect([2, 12, 13, 24, 100].map((wanted) => splits(wanted).splits)).toEqual([2, 12, 12, 24, 24]);
    const units = { ...halves, side: 2 } as const;
    const large = { extent: 128, splits: 1 } as const;
    expect(() => planTiles({ gpu, matrixUnits: units, productVariant: large }, sizes, {})).toThrow('extent 128');
  });

  test('turns the weight of a gradient where that is small beside the product, and on float32 lanes alone', () => {
    const turns = (rows: number, depth: number, outputs: number, matrixUnits?: MatrixUnits) =>
      turnsWeight({ matrixUnits }, { rows, depth, outputs });
    expect(turns(16384, 3072, 768)).toBe(true);
    expect(turns(16384, 3072, 768, halves)).toBe(false);
    expect(turns(4096, 3072, 768)).toBe(false);
    expect(turns(16384, 256, 64)).toBe(false);
    expect(
      turnsWeight({ matrixUnits: undefined, productVariant: { turns: true } }, { rows: 4, depth: 4, outputs: 4 }),
    ).toBe(true);
  });

  test('makes no more parts than one binding holds', () => {
    const small = { maxBinding: 4 * 64 * 768 * 5 };
    expect(planTiles({ gpu: small, matrixUnits: undefined }, { rows: 64, depth: 1536, outputs: 768 }, {}).splits).toBe(
      5,
    );
  });
});
