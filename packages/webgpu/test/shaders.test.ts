// Every shader with every library and every constant that the host may choose compiles without a message. Those that
// need matrix units are compiled for Dawn's null device, which has every feature and runs nothing: SwiftShader has no
// matrix units.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { create } from 'webgpu';
import * as shaders from '../src/generated/index.ts';
import { acquire } from '../src/gpu/acquire.ts';
import { labelOf, type Shader, textOf } from '../src/gpu/shader.ts';
import { MATRIX_FEATURES } from '../src/operations/matrix-units.ts';
import { eulerOf } from '../src/operations/selective-scan.ts';
import { backwardEulerOf, backwardStatesOf } from '../src/operations/selective-scan-backward.ts';
import type { EulerBackwardLayout } from '../src/operations/selective-scan-backward-plan.ts';
import type { EulerLayout } from '../src/operations/selective-scan-plan.ts';

const euler = (lanes: EulerLayout['lanes'], slices: number, steps: number) =>
  [undefined, 8, 16].map((keep) => eulerOf({ lanes, channels: 8, slices, steps }, keep).constants);

const backward = (lanes: EulerBackwardLayout['lanes'], channels: number, rounds: number): EulerBackwardLayout => ({
  ...{ lanes, perLane: 1, channels, rounds, steps: 4 * lanes, summed: 4, keep: false, stateChannels: 16 },
});
const eulerBackward = (...layout: Parameters<typeof backward>) =>
  [false, true].map((given) => backwardEulerOf(backward(...layout), given).constants);
const statesOf = (lanes: EulerBackwardLayout['lanes']) =>
  [false, true].map((chunked) => backwardStatesOf(backward(lanes, 16, 0), chunked).constants);

/** The constants to try, by stem, or by stem and link. */
const constants: Readonly<Record<string, readonly Readonly<Record<string, number>>[]>> = {
  'selective-scan': [
    { VECS_PER_LANE: 1, BLOCK: 1, ROUNDS: 1, KEEP: 0, KEPT: 16 },
    { VECS_PER_LANE: 2, BLOCK: 2, ROUNDS: 2, KEEP: 1, KEPT: 8 },
    { VECS_PER_LANE: 3, BLOCK: 4, ROUNDS: 3, KEEP: 0, KEPT: 16 },
    { VECS_PER_LANE: 4, BLOCK: 8, ROUNDS: 1, KEEP: 1, KEPT: 16 },
  ],
  'selective-scan-euler/one-floats': [...euler(1, 1, 8), ...euler(1, 4, 2)],
  'selective-scan-euler/two-floats': [...euler(2, 1, 16), ...euler(2, 4, 4)],
  'selective-scan-euler/four-floats': [...euler(4, 1, 16), ...euler(4, 8, 8)],
  'selective-scan-euler/one-halves': euler(1, 1, 8),
  'selective-scan-euler/two-halves': euler(2, 4, 4),
  'selective-scan-euler/four-halves': euler(4, 8, 8),
  'selective-scan-backward': [{ VECS_PER_LANE: 1 }, { VECS_PER_LANE: 4 }],
  'selective-scan-backward-states/one': statesOf(1),
  'selective-scan-backward-states/two': statesOf(2),
  'selective-scan-backward-states/four': statesOf(4),
  'selective-scan-backward-euler/one-none': eulerBackward(1, 32, 0),
  'selective-scan-backward-euler/one-subgroup': eulerBackward(1, 32, 5),
  'selective-scan-backward-euler/two-none': eulerBackward(2, 16, 0),
  'selective-scan-backward-euler/two-subgroup': eulerBackward(2, 32, 4),
  'selective-scan-backward-euler/four-none': eulerBackward(4, 16, 0),
  'selective-scan-backward-euler/four-subgroup': [
    ...eulerBackward(4, 64, 3),
    backwardEulerOf({ ...backward(4, 128, 3), perLane: 2, steps: 8 }, true).constants,
  ],
  'causal-conv1d-backward': [{ TAPS: 2 }, { TAPS: 4 }, { TAPS: 64 }],
  'causal-conv1d': [2, 4, 64].map((TAPS) => ({ TAPS, WINDOW: TAPS + 7 })),
  'decode-in-proj': [
    { TAPS: 2, TOGETHER: 1, LOADS: 4, CHANNELS: 2, SHARE: 1, OUTPUTS: 1, STAGED: 8 },
    { TAPS: 4, TOGETHER: 1, LOADS: 4, CHANNELS: 16, SHARE: 2, OUTPUTS: 2, STAGED: 192 },
  ],
  'decode-scan': [
    { TOGETHER: 1, LOADS: 1, ROW: 20, SETS: 3 },
    { TOGETHER: 1, LOADS: 2, ROW: 200, SETS: 1 },
  ],
  linear: [
    { SIDE: 1, DEPTH: 8 },
    { SIDE: 2, DEPTH: 4 },
  ],
  'linear-matrix': [{ SIDE: 2 }, { SIDE: 4 }],
  'linear-sum-norm': [{ EACH: 1 }, { EACH: 3 }],
  attention: [
    { QUADS: 16, DOWN: 16, ACROSS: 8, KEYS: 4, WIDE: 2, BROUGHT: 4, TOGETHER: 4, KEYS_TOGETHER: 8 },
    { QUADS: 33, DOWN: 8, ACROSS: 16, KEYS: 1, WIDE: 3, BROUGHT: 5, TOGETHER: 1, KEYS_TOGETHER: 8 },
  ],
  'attention-step': [
    { QUADS: 16, ACROSS: 16, WIDE: 1, EACH: 8, ROWS: 1 },
    { QUADS: 33, ACROSS: 32, WIDE: 2, EACH: 2, ROWS: 4 },
  ],
  'attention-matrix': [
    { DEEP: 4, BROUGHT: 2 },
    { DEEP: 7, BROUGHT: 4 },
  ],
  'attention-rows': [{ QUADS: 16 }],
  'ssd-scan-step': [{ DIRECT: 0 }, { DIRECT: 1 }],
  'ssd-scan-segments': [{ WIDE: 1 }, { WIDE: 2 }],
  'ssd-scan-quads': [{ WIDE: 1 }, { WIDE: 2 }],
  'attention-backward': [
    { QUADS: 16, DOWN: 16, ACROSS: 8, COLUMNS: 4, WIDE: 2, BROUGHT: 4, TOGETHER: 2, PLACES_TOGETHER: 4 },
    { QUADS: 33, DOWN: 8, ACROSS: 16, COLUMNS: 1, WIDE: 3, BROUGHT: 5, TOGETHER: 1, PLACES_TOGETHER: 4 },
  ],
  'linear-vector': [
    { TOGETHER: 1, LOADS: 4, STAGED: 8 },
    { TOGETHER: 2, LOADS: 2, STAGED: 192 },
  ],
};

const modules = Object.values(shaders as unknown as Record<string, Shader>).flatMap((shader) =>
  Object.keys(shader.links).flatMap((link) =>
    (constants[`${shader.stem}/${link}`] ?? constants[shader.stem] ?? [{}]).map((values) => ({
      label: labelOf(shader, { link, constants: values }),
      code: textOf(shader, { link, constants: values }),
    })),
  ),
);

/**
 * Shaders that tests compile and do not run as they are: SwiftShader has neither matrix units nor halves.
 * `mamba-bench kernels` runs them on hardware.
 */
const compiledOnly = /^(linear-matrix|attention-matrix|attention-halves)|^[^ ]*halves( |$)/;

let device: GPUDevice;
let nullDevice: GPUDevice;
/** Dawn's null backend, which needs no hardware. Its instance is held as long as its device, as a user has to. */
let nullGpu: GPU | undefined;
beforeAll(async () => {
  ({ device } = await acquire({}));
  nullGpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
  const adapter = await nullGpu.requestAdapter();
  nullDevice = await adapter!.requestDevice({ requiredFeatures: ['subgroups' as GPUFeatureName, ...MATRIX_FEATURES] });
});
afterAll(() => {
  device.destroy();
  nullDevice.destroy();
  nullGpu = undefined;
});

test.each(modules)('$label', async ({ label, code }) => {
  expect(nullGpu).toBeDefined();
  const on = compiledOnly.test(label) ? nullDevice : device;
  const { messages } = await on.createShaderModule({ label, code }).getCompilationInfo();
  expect(messages.map(({ message }) => message)).toEqual([]);
});

test('constants are found where the host replaces them', () => {
  for (const [key, values] of Object.entries(constants)) {
    const [stem] = key.split('/');
    const shader = Object.values(shaders as unknown as Record<string, Shader>).find((item) => item.stem === stem)!;
    expect(Object.keys(values[0]!).sort()).toEqual([...shader.constants].sort());
  }
});
