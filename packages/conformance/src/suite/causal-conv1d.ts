import type { HostTensor } from '@mamba/core';
import type { Case } from '../cases/case.ts';
import { type CausalConv1dCaseOptions, causalConv1dBackwardCase, causalConv1dCase } from '../cases/causal-conv1d.ts';
import { plant } from './selective-scan.ts';

const SMALL = { batch: 2, length: 17, dim: 5 };

export function causalConv1dSuite(): readonly Case[] {
  return [...extents(), ...options(), ...pitfalls()].map((options, index) =>
    causalConv1dCase({ seed: 200 + index, ...options }),
  );
}

export function causalConv1dBackwardSuite(): readonly Case[] {
  const shapes: CausalConv1dCaseOptions[] = [
    { id: 'all-on', ...SMALL, initialState: true, resets: true },
    { id: 'all-off', ...SMALL, bias: false, activation: 'none' },
    { id: 'len1', batch: 2, length: 1, dim: 3, initialState: true },
    { id: 'width2', ...SMALL, width: 2, initialState: true },
    { id: 'width7-len3', batch: 1, length: 3, dim: 3, width: 7, initialState: true },
    { id: 'len129', batch: 1, length: 129, dim: 3 },
  ];
  return shapes.map((options, index) => causalConv1dBackwardCase({ seed: 800 + index, ...options }));
}

function extents(): CausalConv1dCaseOptions[] {
  return [
    ...[1, 2, 3, 17, 129, 1134, 4096].map((length) => ({ id: `len${length}`, batch: 1, length, dim: 5 })),
    ...[1, 3, 5, 7, 8, 13, 33].map((dim) => ({ id: `dim${dim}`, batch: 3, length: 9, dim, initialState: true })),
    ...[2, 3, 4, 5, 6, 7].flatMap((width) =>
      [1, 2, 3, 6, 17].map((length) => ({
        id: `width${width}-len${length}`,
        batch: 2,
        length,
        dim: 5,
        width,
        initialState: true,
      })),
    ),
    // The input is shorter than the state, and there is no state before it: the oldest columns are zero.
    ...[2, 4, 7].map((width) => ({ id: `width${width}-len1-zero-state`, batch: 2, length: 1, dim: 5, width })),
  ];
}

function options(): CausalConv1dCaseOptions[] {
  const all: CausalConv1dCaseOptions[] = [];
  for (let bits = 0; bits < 16; bits++) {
    const on = (bit: number): boolean => (bits & (1 << bit)) !== 0;
    const flags = { bias: on(0), silu: on(1), initialState: on(2), resets: on(3) };
    const names = Object.entries(flags).filter(([, enabled]) => enabled);
    const { silu, ...rest } = flags;
    all.push({
      id: `with-${names.map(([name]) => name).join('-') || 'nothing'}`,
      ...SMALL,
      ...rest,
      activation: silu ? 'silu' : 'none',
    });
  }
  for (const width of [2, 3, 5, 7])
    all.push({ id: `width${width}-resets`, ...SMALL, width, initialState: true, resets: true });
  return all;
}

function pitfalls(): CausalConv1dCaseOptions[] {
  return [
    // Inputs count upwards, so that a state in the wrong order or with an extra column differs.
    { id: 'state-newest-last', batch: 1, length: 6, dim: 3, activation: 'none', bias: false, edit: countUp },
    {
      id: 'state-rolls',
      batch: 1,
      length: 2,
      dim: 3,
      activation: 'none',
      bias: false,
      initialState: true,
      edit: countUp,
    },
    { id: 'reset-after-nan', ...SMALL, resets: true, edit: resetAfterNan },
    { id: 'nan-x', ...SMALL, edit: plant('x', 23, Number.NaN) },
    { id: 'infinite-x', ...SMALL, edit: plant('x', 23, Number.POSITIVE_INFINITY) },
    { id: 'nan-weight', ...SMALL, edit: plant('weight', 6, Number.NaN) },
    { id: 'large-silu', ...SMALL, edit: enlarge },
  ];
}

function countUp({ x, initialState }: Record<string, HostTensor>): void {
  for (let index = 0; index < x!.data.length; index++) x!.data[index] = index + 1;
  if (!initialState) return;
  for (let index = 0; index < initialState.data.length; index++) initialState.data[index] = -index - 1;
}

function enlarge({ x }: Record<string, HostTensor>): void {
  for (let index = 0; index < x!.data.length; index++) x!.data[index] = 200 * x!.data[index]!;
}

function resetAfterNan({ x, resets }: Record<string, HostTensor>): void {
  const [batch, length, dim] = x!.shape as [number, number, number];
  resets!.data.fill(0);
  for (let row = 0; row < batch; row++) {
    x!.data[(row * length + 4) * dim + 1] = Number.NaN;
    resets!.data[row * length + 5 + row] = 1;
  }
}
