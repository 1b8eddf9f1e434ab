import { type Discretization, MambaError, type SelectiveScanGradients, type TensorSpec } from '@mamba/core';
import type { DeviceTensor, SelectiveScanBackwardCall, SelectiveScanCall } from '@mamba/core/driver';
import {
  selectiveScanBackwardCarry,
  selectiveScanBackwardEuler,
  selectiveScanBackwardStates,
  selectiveScanBackwardSums,
  selectiveScanBackward as shader,
} from '../generated/index.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { workgroupsRefusal } from '../gpu/limits.ts';
import { ListMap } from '../gpu/list-map.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { type Packed, pack } from './pack.ts';
import { DISCRETIZATION, scanLimits, scanShape, stridesOf } from './selective-scan.ts';
import { type EulerBackwardLayout, planScanBackward, type ScanBackwardPlan } from './selective-scan-backward-plan.ts';
import { largestWorkspace, type Workspace, type WorkspaceSizes } from './selective-scan-backward-workspace.ts';

/**
 * Gradients of a selective scan by the plan's dispatches: the states before each tile of time, unless the forward scan
 * kept them, the carry where time is cut into chunks, the main pass and the sums, for one range of rows of the batch
 * after the other. ADR 11 has the design.
 */
export function selectiveScanBackward(
  kernels: KernelContext,
  call: SelectiveScanBackwardCall<DeviceTensor<Storage>>,
): SelectiveScanGradients<Storage> {
  const { gpu } = kernels;
  const planned = planFor(kernels, call);
  if (typeof planned === 'string') throw new MambaError('unsupported', planned, { origin: 'selectiveScanBackward' });
  const { batch, length, dim, state, groups } = call;
  const { plan, workspace } = planned;
  return gpu.allocating((allocator) => {
    const gradient = (name: string, elements: number): PooledBuffer =>
      allocator.result(4 * elements, `selective-scan-backward ${name}`);
    const elements = batch * length * dim;
    const ofB = batch * length * groups * state;
    const results = {
      u: gradient('u', elements),
      delta: gradient('delta', elements),
      A: gradient('A', dim * state),
      B: gradient('B', call.constantB ? dim * state : ofB),
      C: gradient('C', call.constantC ? dim * state : ofB),
      D: call.D && gradient('D', dim),
      z: call.z && gradient('z', elements),
      deltaBias: call.deltaBias && gradient('deltaBias', dim),
      initialState: call.initialState && gradient('initial state', batch * dim * state),
    };
    const buffer = allocator.scratch(4 * workspace.size, 'selective-scan-backward workspace');
    // Bound in place of absent results. Writable bindings of a shader must not share memory.
    const unused = [0, 1].map(() => wholeRange(allocator.scratch(16, 'selective-scan-backward unused')));
    const shared: Shared = {
      gpu,
      call,
      plan,
      workspace,
      buffer,
      targets: {
        du: wholeRange(results.u),
        ddelta: wholeRange(results.delta),
        dz: results.z ? wholeRange(results.z) : gpu.unusedOutput,
        dA: wholeRange(results.A),
        dB: wholeRange(results.B),
        dC: wholeRange(results.C),
        dD: results.D ? wholeRange(results.D) : unused[0]!,
        dBias: results.deltaBias ? wholeRange(results.deltaBias) : unused[1]!,
      },
      initial: results.initialState,
    };
    for (let firstRow = 0; firstRow < batch; firstRow += workspace.rows)
      scanRows(shared, firstRow, Math.min(workspace.rows, batch - firstRow));
    const { D, z, deltaBias, initialState } = results;
    return {
      u: unsplitStorage(results.u),
      delta: unsplitStorage(results.delta),
      A: unsplitStorage(results.A),
      B: unsplitStorage(results.B),
      C: unsplitStorage(results.C),
      ...(D && { D: unsplitStorage(D) }),
      ...(z && { z: unsplitStorage(z) }),
      ...(deltaBias && { deltaBias: unsplitStorage(deltaBias) }),
      ...(initialState && { initialState: unsplitStorage(initialState) }),
    };
  });
}

/** The reason why a backward scan cannot run on this device, although its tensors fit. */
export function scanBackwardRefusal(
  kernels: KernelContext,
  call: SelectiveScanBackwardCall<TensorSpec>,
): string | undefined {
  const planned = planFor(kernels, call);
  if (typeof planned === 'string') return planned;
  const { gpu } = kernels;
  const { groups, dim } = call;
  const { plan, workspace } = planned;
  return (
    workgroupsRefusal(gpu, 'batch', workspace.rows) ??
    workgroupsRefusal(gpu, 'channels', groups * Math.ceil(dim / groups / narrowest(plan))) ??
    workgroupsRefusal(gpu, 'chunks', plan.chunks)
  );
}

/** The fewest channels that a workgroup of one of the dispatches owns. */
function narrowest({ layout, channels }: ScanBackwardPlan): number {
  return layout.kernel === 'euler' ? Math.min(channels, layout.stateChannels) : channels;
}

interface Planned {
  readonly plan: ScanBackwardPlan;
  readonly workspace: Workspace;
}

/** What a plan follows from, beside the device. */
interface PlanSizes extends WorkspaceSizes {
  readonly batch: number;
  readonly discretization: Discretization;
}

function sizesOf(call: SelectiveScanCall<unknown>): Omit<PlanSizes, 'last' | 'given'> {
  return { ...call, resets: call.resets !== undefined, initial: call.initialState !== undefined };
}

function planFor(kernels: KernelContext, call: SelectiveScanBackwardCall<unknown>): Planned | string {
  return planOf(kernels, {
    ...sizesOf(call),
    last: call.dLastState !== undefined,
    given: call.states !== undefined,
  });
}

/** Plans by sizes: a call asks for its own several times, and a training step for one again and again. */
const plans = new WeakMap<KernelContext, ListMap<Planned | string>>();
/** The plans that are remembered for a device, before all are forgotten. */
const MOST_PLANS = 256;

function planOf(kernels: KernelContext, sizes: PlanSizes): Planned | string {
  let known = plans.get(kernels);
  if (known === undefined || known.size >= MOST_PLANS) {
    known = new ListMap();
    plans.set(kernels, known);
  }
  const { batch, length, dim, state, groups, constantB, constantC, resets, initial, last, given } = sizes;
  known.begin();
  for (const size of [batch, length, dim, state, groups, DISCRETIZATION[sizes.discretization]]) known.add(size);
  for (const flag of [constantB, constantC, resets, initial, last, given]) known.add(flag ? 1 : 0);
  let plan = known.get();
  if (plan === undefined) {
    plan = makePlan(kernels, sizes);
    known.set(plan);
  }
  return plan;
}

function makePlan({ gpu, scanBackwardVariant }: KernelContext, sizes: PlanSizes): Planned | string {
  const { batch, length, dim, state, groups, constantB, constantC } = sizes;
  // The workspace's copies of B and C lie in vec4s where the states do, with resets as well as without.
  const shape = scanShape(
    { ...sizes, states: state, resets: false },
    stridesOf(constantB, groups, state),
    stridesOf(constantC, groups, state),
  );
  const plan = planScanBackward(shape, scanLimits(gpu), scanBackwardVariant);
  if (typeof plan === 'string') return plan;
  const rows = Math.min(batch, scanBackwardVariant?.rows ?? batch);
  const workspace = largestWorkspace(sizes, plan, rows, gpu.maxBinding / 4);
  if (workspace === undefined)
    return `one sequence of ${length} steps of ${dim} channels needs more memory than the ${gpu.maxBinding} bytes that a shader may bind here`;
  return { plan, workspace };
}

/** Storage buffers of the main dispatch with kept states, and of the forward scans that keep them. */
const BUFFERS_WITH_STATES = 9;
/** Tiles that are shorter, of devices without subgroups, have more states than the gain is worth. */
const FEWEST_KEPT_STEPS = 8;

/**
 * The steps of the backward's tiles, before which `selectiveScan` keeps the states of a call: none where another kernel
 * or device takes them.
 */
export function keptSteps(kernels: KernelContext, call: SelectiveScanCall<TensorSpec>): number | undefined {
  const { limits, maxBinding } = kernels.gpu;
  if (limits.maxStorageBuffersPerShaderStage < BUFFERS_WITH_STATES) return undefined;
  const found = planOf(kernels, { ...sizesOf(call), last: true, given: true });
  if (typeof found === 'string') return undefined;
  const { layout, steps } = found.plan;
  const states = call.batch * found.workspace.tiles * call.dim * call.state;
  const worthwhile = layout.kernel === 'euler' && steps >= FEWEST_KEPT_STEPS;
  return worthwhile && 4 * states <= maxBinding ? steps : undefined;
}

/** What the dispatches of all ranges of rows share. */
interface Shared {
  readonly gpu: Gpu;
  readonly call: SelectiveScanBackwardCall<DeviceTensor<Storage>>;
  readonly plan: ScanBackwardPlan;
  readonly workspace: Workspace;
  readonly buffer: PooledBuffer;
  readonly targets: Readonly<Record<'du' | 'ddelta' | 'dz' | 'dA' | 'dB' | 'dC' | 'dD' | 'dBias', BufferRange>>;
  /** The gradient of the initial state, where it is asked for. */
  readonly initial: PooledBuffer | undefined;
}

/** Copies the small operands of a range of rows into the workspace. */
function packRows({ gpu, call, workspace: { at }, buffer }: Shared, firstRow: number, rows: number): void {
  const { length, dim, state, groups } = call;
  const whole = (source: DeviceTensor<Storage> | undefined, place: number, count: number): Packed => ({
    source,
    at: place,
    count,
  });
  const ofRows = (source: DeviceTensor<Storage> | undefined, place: number, ofRow: number): Packed => ({
    source,
    begin: firstRow * ofRow,
    at: place,
    count: rows * ofRow,
  });
  const ofB = length * groups * state;
  pack(gpu, wholeRange(buffer), [
    whole(call.A, at.A, dim * state),
    whole(call.D, at.D, dim),
    whole(call.deltaBias, at.bias, dim),
    call.constantB ? whole(call.B, at.B, dim * state) : ofRows(call.B, at.B, ofB),
    call.constantC ? whole(call.C, at.C, dim * state) : ofRows(call.C, at.C, ofB),
    ofRows(call.resets, at.marks, length),
    ofRows(call.dLastState, at.last, dim * state),
    call.states ? whole(undefined, at.initial, 0) : ofRows(call.initialState, at.initial, dim * state),
  ]);
}

function scanRows(shared: Shared, firstRow: number, rows: number): void {
  const { gpu, call, plan, workspace, buffer, initial } = shared;
  packRows(shared, firstRow, rows);
  if (plan.layout.kernel === 'euler') eulerRows(shared, plan.layout, firstRow, rows);
  else {
    const { vecsPerLane, lanes, workgroup } = plan.layout;
    gpu.dispatch(shader, {
      constants: { VECS_PER_LANE: vecsPerLane },
      overrides: {
        WORKGROUP: workgroup,
        LANES: lanes,
        DISCRETIZATION: DISCRETIZATION[call.discretization],
        ...optionsOf(call),
        CONSTANT_B: call.constantB,
        CONSTANT_C: call.constantC,
      },
      bindings: { ...bindingsOf(shared), ...outputsOf(shared) },
      uniforms: uniformsOf(shared, firstRow, rows, plan.channels, 1),
      workgroups: [tilesOf(shared, plan.channels), rows],
    });
  }
  addUp(shared, firstRow, rows);
  if (initial !== undefined) {
    const size = 4 * call.dim * call.state;
    gpu.recorder.copy(buffer.buffer, 4 * workspace.at.first, initial.buffer, firstRow * size, rows * size);
  }
}

/** The dispatches of calls of models. */
function eulerRows(shared: Shared, layout: EulerBackwardLayout, firstRow: number, rows: number): void {
  const { gpu, call, plan, workspace, buffer } = shared;
  const { dim, state } = call;
  const { chunks } = plan;
  const { stateChannels } = layout;
  const chunked = chunks > 1;
  const full = state === 16;
  const { at } = workspace;
  const given = call.states !== undefined;
  if (chunked || !given)
    gpu.dispatch(selectiveScanBackwardStates, {
      ...backwardStatesOf(layout, chunked && !given),
      overrides: { CHUNKED: chunked, GIVEN: given, FULL: full, ...optionsOf(call) },
      bindings: bindingsOf(shared),
      uniforms: uniformsOf(shared, firstRow, rows, stateChannels, 4),
      workgroups: [tilesOf(shared, stateChannels), chunks, rows],
    });
  if (chunked)
    gpu.dispatch(selectiveScanBackwardCarry, {
      overrides: { GIVEN: given },
      bindings: { workspace: wholeRange(buffer) },
      uniforms: {
        rows,
        dim,
        states: state,
        chunks,
        atA: at.A,
        atInitial: at.initial,
        atLast: at.last,
        atStates: at.states,
        atAdjoints: at.adjoints,
        atTotals: at.totals,
        ...ends(call),
      },
      workgroups: gpu.grid(Math.ceil(((given ? 1 : 2) * rows * dim * state) / 64)),
    });
  gpu.dispatch(selectiveScanBackwardEuler, {
    ...backwardEulerOf(layout, given),
    overrides: {
      CHUNKED: chunked,
      FULL: full,
      KEEP: layout.keep,
      ...optionsOf(call),
    },
    bindings: {
      ...bindingsOf(shared),
      ...outputsOf(shared),
      kept: call.states ? rangeOf(call.states) : gpu.unusedInput,
    },
    uniforms: uniformsOf(shared, firstRow, rows, layout.channels, 4),
    workgroups: [tilesOf(shared, layout.channels), chunks, rows],
  });
}

function addUp(shared: Shared, firstRow: number, rows: number): void {
  const { gpu, call, plan, workspace, buffer, targets } = shared;
  const { length, dim, state, groups, constantB, constantC } = call;
  const partials = constantB && constantC ? 0 : rows * length * groups * 2 * state;
  const partialGroups = Math.ceil(partials / 256);
  gpu.dispatch(selectiveScanBackwardSums, {
    overrides: {
      CONSTANT_B: constantB,
      CONSTANT_C: constantC,
      ADD: firstRow > 0,
    },
    bindings: {
      workspace: wholeRange(buffer),
      dA: targets.dA,
      dB: targets.dB,
      dC: targets.dC,
      dD: targets.dD,
      dBias: targets.dBias,
    },
    uniforms: {
      length,
      dim,
      states: state,
      groups,
      firstRow,
      rows,
      chunks: plan.chunks,
      tilesPerGroup: Math.ceil(dim / groups / plan.channels),
      record: workspace.record,
      atRecords: workspace.at.records,
      atPartials: workspace.at.partials,
      partialGroups,
      ...presence(call),
    },
    workgroups: gpu.grid(partialGroups + Math.ceil((dim * workspace.record) / 16)),
  });
}

function tilesOf({ call: { dim, groups } }: Shared, channels: number): number {
  return groups * Math.ceil(dim / groups / channels);
}

function optionsOf(call: SelectiveScanBackwardCall<unknown>) {
  return {
    SOFTPLUS: call.deltaSoftplus,
    GATE: call.z !== undefined,
    RESETS: call.resets !== undefined,
  };
}

function bindingsOf({ gpu, call, buffer }: Shared) {
  return {
    workspace: wholeRange(buffer),
    u: rangeOf(call.u),
    delta: rangeOf(call.delta),
    z: call.z ? rangeOf(call.z) : gpu.unusedInput,
    dy: rangeOf(call.dy),
  };
}

function outputsOf({ targets: { du, ddelta, dz } }: Shared) {
  return { du, ddelta, dz };
}

/** Places in the workspace count elements of `unit` floats. */
function uniformsOf({ call, plan, workspace }: Shared, firstRow: number, rows: number, channels: number, unit: number) {
  const { length, dim, state, groups } = call;
  const { at } = workspace;
  return {
    length,
    dim,
    states: state,
    groups,
    firstRow,
    rows,
    chunkLength: plan.chunkLength,
    chunks: plan.chunks,
    tiles: workspace.tiles,
    channelsPerGroup: dim / groups,
    tilesPerGroup: Math.ceil(dim / groups / channels),
    record: workspace.record / unit,
    atA: at.A / unit,
    atD: at.D / unit,
    atBias: at.bias / unit,
    atMarks: at.marks / unit,
    atB: at.B / unit,
    atC: at.C / unit,
    atInitial: at.initial / unit,
    atLast: at.last / unit,
    atKept: at.kept / unit,
    atPassed: at.passed / unit,
    atStates: at.states / unit,
    atAdjoints: at.adjoints / unit,
    atTotals: at.totals / unit,
    atRecords: at.records / unit,
    atPartials: at.partials / unit,
    atFirst: at.first / unit,
    ...presence(call),
    ...ends(call),
  };
}

function presence({ D, deltaBias }: SelectiveScanBackwardCall<unknown>) {
  return { hasD: Number(D !== undefined), hasDeltaBias: Number(deltaBias !== undefined) };
}

/** What the scan and its way back begin from. States that the forward scan kept follow from the initial one already. */
function ends({ initialState, states, dLastState }: SelectiveScanBackwardCall<unknown>) {
  return {
    hasInitial: Number(initialState !== undefined && states === undefined),
    hasLast: Number(dLastState !== undefined),
  };
}

const LANES = { 1: 'one', 2: 'two', 4: 'four' } as const;

/** The specialisation of selective-scan-backward-states.wgsl for a layout. @param both Whether it reads B and C. */
export function backwardStatesOf({ lanes, steps, stateChannels }: EulerBackwardLayout, both: boolean) {
  const sides = both ? 2 : 1;
  return {
    link: LANES[lanes],
    constants: {
      CHANNELS: stateChannels,
      STEPS: steps,
      OWN: steps / lanes,
      SIDES: sides,
      STAGED: Math.ceil((4 * steps * sides) / (lanes * stateChannels)),
    },
  };
}

/**
 * The specialisation of selective-scan-backward-euler.wgsl for a layout.
 * @param given Whether the forward scan kept the states.
 */
export function backwardEulerOf(
  { lanes, perLane, channels, steps, summed, rounds }: EulerBackwardLayout,
  given: boolean,
) {
  const values = 32 / lanes;
  const workgroup = (lanes * channels) / perLane;
  return {
    link: `${LANES[lanes]}-${rounds === 0 ? 'none' : 'subgroup'}` as const,
    constants: {
      CHANNELS: channels,
      STEPS: steps,
      OWN: steps / lanes,
      PER_LANE: perLane,
      VECS: (perLane * 4) / lanes,
      HELD: ((steps + 1) * perLane * 4) / lanes,
      GIVEN: given ? 1 : 0,
      STAGED: Math.ceil((8 * steps) / workgroup),
      SUMMED: summed,
      BATCHES: steps / summed,
      ROUNDS: rounds,
      VALUES: values,
      HALF: values / 2,
      LEFT: values / 2 ** rounds,
      CLUSTERS: channels / perLane / 2 ** rounds,
      OUTPUTS: Math.ceil((8 * summed) / workgroup),
    },
  };
}
