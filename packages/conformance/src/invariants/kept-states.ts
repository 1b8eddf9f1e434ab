/** The states that a selective scan keeps for its backward: results and gradients are the same with them. */
import type { ScanCotangents, SelectiveScanOptions, Tensor } from '@mamba/core';
import { uploadInputs } from '../cases/case.ts';
import { SCAN_BACKWARD, type SelectiveScanCaseOptions, selectiveScanBackwardCase } from '../cases/selective-scan.ts';
import type { Check, Skipped } from '../runner/check.ts';
import type { Findings } from '../runner/report.ts';
import { type Arena, withArena } from './arena.ts';
import { invariant, SAME_VALUES } from './invariant.ts';

const CALLS: readonly (SelectiveScanCaseOptions & { readonly id: string })[] = [
  { id: 'initial', batch: 2, length: 129, dim: 5, state: 16, initialState: true },
  { id: 'resets', batch: 2, length: 45, dim: 5, state: 16, initialState: true, resets: true },
  { id: 'groups', batch: 1, length: 70, dim: 33, state: 16, groups: 3, initialState: true },
  { id: 'one-step', batch: 2, length: 1, dim: 5, state: 16, initialState: true },
  { id: 'odd', batch: 2, length: 90, dim: 5, state: 3, initialState: true },
  { id: 'zoh', batch: 1, length: 90, dim: 5, state: 4, discretization: 'zoh', B: 'constant' },
];

export function keptStatesLaws(): readonly Check[] {
  return CALLS.map((options) =>
    invariant(`selective-scan/kept-states/${options.id}`, async (findings, { backend }) => {
      const item = selectiveScanBackwardCase({ ...options, seed: 31 });
      const support = item.supports(backend);
      if (!support.supported) return { skipped: support.reason };
      return withArena(backend, async (arena): Promise<Skipped | undefined> => {
        const inputs = arena.all(uploadInputs(backend, item.build()));
        return sameGradients(findings, arena, item.arguments(inputs) as Arguments);
      });
    }),
  );
}

type Inputs = [u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor];
type Arguments = [...Inputs, SelectiveScanOptions<Tensor>, ScanCotangents<Tensor>];

async function sameGradients(findings: Findings, arena: Arena, args: Arguments): Promise<Skipped | undefined> {
  const { backend } = arena;
  const [u, delta, A, B, C, options, cotangents] = args;
  const plain = arena.all(backend.selectiveScan(u, delta, A, B, C, options));
  findings.equal('states without being asked for', plain.states === undefined ? 0 : 1, 0);
  const { y, lastState, states } = arena.all(
    backend.selectiveScan(u, delta, A, B, C, { ...options, keepStates: true }),
  );
  findings.close('y', await arena.read(y), await arena.read(plain.y), SAME_VALUES);
  findings.close('lastState', await arena.read(lastState), await arena.read(plain.lastState), SAME_VALUES);
  if (states === undefined) return { skipped: `${backend.name} keeps no states for this call` };
  const before = await arena.read(states);
  await beginsWith(findings, arena, states, options.initialState);
  const gradients = async (kept: Tensor | undefined) => {
    const results = arena.all(backend.selectiveScanBackward(u, delta, A, B, C, options, cotangents, kept));
    const read = Object.entries(results).map(async ([name, tensor]) => [name, await arena.read(tensor)] as const);
    return Object.fromEntries(await Promise.all(read));
  };
  const [without, once, again] = [await gradients(undefined), await gradients(states), await gradients(states)];
  for (const [name, values] of Object.entries(without)) {
    findings.close(name, once[name] ?? [], values, SCAN_BACKWARD.relative);
    findings.identical(`${name}, again`, again[name] ?? [], once[name] ?? []);
  }
  findings.identical('states, afterwards', await arena.read(states), before);
  return undefined;
}

/** The first of the states is the initial one, in every row. */
async function beginsWith(findings: Findings, arena: Arena, states: Tensor, initial: Tensor | undefined) {
  const first = await arena.read(arena.slice(states, 1, 0, 1));
  findings.identical('states[0]', first, initial ? await arena.read(initial) : new Float64Array(first.length));
}
