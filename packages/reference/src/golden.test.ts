/**
 * The golden file of the selective scan: results and gradients of 43 cases, computed in float64 by another
 * implementation.
 */
import { openFile, openSafetensors } from '@mamba/checkpoint';
import type { Backend, HostTensor, SelectiveScanOptions, Tensor } from '@mamba/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { relativeError } from '../test/values.ts';
import { reference } from './index.ts';

const file = await openSafetensors(
  await openFile(new URL('../../conformance/fixtures/scan-golden.safetensors', import.meta.url)),
);
const tensors = new Map<string, HostTensor>();
for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
await file.close();
const cases = JSON.parse(file.metadata.get('cases')!) as Record<string, { softplus: boolean }>;

/** The option of each input, by its name in the file. */
const OPTIONS = { D: 'D', z: 'z', delta_bias: 'deltaBias', initial_state: 'initialState' } as const;
const GRADIENTS = { u: 'u', delta: 'delta', A: 'A', B: 'B', C: 'C', ...OPTIONS } as const;

let backend: Backend;
beforeAll(async () => {
  backend = await reference().create();
});
afterAll(() => backend.dispose());

describe('selectiveScan and selectiveScanBackward against scan-golden.safetensors', () => {
  it('holds 43 cases', () => expect(Object.keys(cases)).toHaveLength(43));

  it.each(Object.entries(cases))('%s', async (name, { softplus }) => {
    const input = (key: string): Tensor | undefined => {
      const value = tensors.get(`${name}/in.${key}`);
      return value && backend.upload(value);
    };
    const [u, delta, A, B, C] = ['u', 'delta', 'A', 'B', 'C'].map((key) => input(key)!) as [
      Tensor,
      Tensor,
      Tensor,
      Tensor,
      Tensor,
    ];
    const options: SelectiveScanOptions<Tensor> = {
      deltaSoftplus: softplus,
      ...Object.fromEntries(Object.entries(OPTIONS).map(([key, ours]) => [ours, input(key)])),
    };
    const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, options);
    // The longest cases have no gradients.
    const dy = input('dy');
    const gradients =
      dy && backend.selectiveScanBackward(u, delta, A, B, C, options, { y: dy, lastState: input('dlast_state') });

    const actual = new Map<string, Tensor | undefined>([
      ['out.y', y],
      ['out.last_state', lastState],
      ...Object.entries(GRADIENTS).map(([key, ours]) => [`grad.${key}`, gradients?.[ours]] as const),
    ]);
    const errors: Record<string, number> = {};
    for (const [key, value] of tensors) {
      if (!key.startsWith(`${name}/out.`) && !key.startsWith(`${name}/grad.`)) continue;
      const tensor = key.slice(name.length + 1);
      const given = actual.get(tensor);
      if (given === undefined) throw new Error(`${tensor} is expected and was not given`);
      expect(given.shape).toEqual(value.shape);
      errors[tensor] = relativeError(await backend.read(given), value.data);
    }
    expect(Object.keys(errors).length).toBeGreaterThanOrEqual(dy === undefined ? 2 : 7);
    for (const [tensor, error] of Object.entries(errors)) expect(error, tensor).toBeLessThanOrEqual(1e-13);
  });
});
