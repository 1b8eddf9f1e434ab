import { type Discretization, MambaError } from '@mamba/core';
import type { DeviceTensor, Results, SelectiveScanCall } from '@mamba/core/driver';
import { selectiveScanCarry, selectiveScanEuler, selectiveScan as shader } from '../generated/index.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { bindingRefusal, workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { pack } from './pack.ts';
import {
  type EulerLayout,
  type GeneralLayout,
  planScan,
  type ScanLimits,
  type ScanPlan,
  type ScanShape,
} from './selective-scan-plan.ts';
import type { Stored } from './stored.ts';

/** The numbers of discretisations, for DISCRETIZATION of the shaders. */
export const DISCRETIZATION: Readonly<Record<Discretization, number>> = { euler: 0, zoh: 1, bilinear: 2 };

export function selectiveScan(
  kernels: KernelContext,
  call: SelectiveScanCall<DeviceTensor<Storage>>,
): Results<Storage>['selectiveScan'] {
  const { u, delta, A, B, C, D, z, deltaBias, initialState, resets, batch, length, dim, state, groups } = call;
  const { keptSteps } = call;
  const { gpu } = kernels;
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * batch * length * dim, 'selective-scan y');
    const last = allocator.result(4 * batch * dim * state, 'selective-scan state');
    const kept =
      keptSteps === undefined
        ? undefined
        : allocator.result(4 * batch * Math.ceil(length / keptSteps) * dim * state, 'selective-scan kept states');
    const constants = allocator.scratch(
      4 * constantsSize(dim, state, resets ? batch * length : 0),
      'selective-scan constants',
    );
    const at = constantsAt(dim, state);
    // A dispatch in place of copies, which would end the compute pass.
    pack(gpu, wholeRange(constants), [
      { source: A, at: at.A, count: dim * state },
      { source: D, at: at.D, count: dim },
      { source: deltaBias, at: at.deltaBias, count: dim },
      { source: resets, at: at.resets, count: batch * length },
    ]);
    if (initialState) gpu.recorder.copy(rangeOf(initialState).buffer, 0, last.buffer, 0, last.size);
    scan(kernels, {
      u: rangeOf(u),
      delta: rangeOf(delta),
      z: z && { range: rangeOf(z), row: dim, offset: 0 },
      B: selective(rangeOf(B), call.constantB, groups, state),
      C: selective(rangeOf(C), call.constantC, groups, state),
      constants: wholeRange(constants),
      y: wholeRange(y),
      state: wholeRange(last),
      begun: initialState !== undefined,
      kept: kept && { range: wholeRange(kept), steps: keptSteps! },
      skip: D !== undefined,
      bias: deltaBias !== undefined,
      softplus: call.deltaSoftplus,
      resets: resets !== undefined,
      discretization: call.discretization,
      batch,
      length,
      dim,
      states: state,
      groups,
    });
    return {
      y: unsplitStorage(y),
      lastState: unsplitStorage(last),
      ...(kept && { states: unsplitStorage(kept) }),
    };
  });
}

/**
 * The place of B or C: strides of a time step and of a group, and the first one's offset, in elements. `row` undefined
 * means constant `[dim, state]`.
 */
export interface Strides {
  readonly row: number | undefined;
  readonly group: number;
  readonly offset: number;
}

export interface Selective extends Strides {
  readonly range: BufferRange;
}

export interface Scan {
  readonly u: BufferRange;
  readonly delta: BufferRange;
  readonly z: { readonly range: BufferRange; readonly row: number; readonly offset: number } | undefined;
  readonly B: Selective;
  readonly C: Selective;
  /** A, D, deltaBias and resets, at `constantsAt`. */
  readonly constants: BufferRange;
  readonly y: BufferRange;
  /** The initial state, which becomes the last one. */
  readonly state: BufferRange;
  /** Whether there is an initial state. Otherwise `state` is not read. */
  readonly begun: boolean;
  /** Where the state before every so many steps goes, `[batch, ⌈length / steps⌉, dim, states]`. */
  readonly kept?: { readonly range: BufferRange; readonly steps: number } | undefined;
  readonly skip: boolean;
  readonly bias: boolean;
  readonly softplus: boolean;
  readonly resets: boolean;
  readonly discretization: Discretization;
  readonly batch: number;
  readonly length: number;
  readonly dim: number;
  readonly states: number;
  readonly groups: number;
  /** How u, delta, z and y are stored; floats by default. Halves are for calls that `takesHalves`. */
  readonly stored?: Stored | undefined;
}

/** Elements of the buffer that holds A `[dim, state]`, D `[dim]`, deltaBias `[dim]` and reset marks. */
export function constantsSize(dim: number, state: number, marks: number): number {
  return dim * (state + 2) + marks;
}

/** The places of these operands in one buffer, since a browser promises only eight storage buffers a shader. */
function constantsAt(dim: number, state: number) {
  return { A: 0, D: dim * state, deltaBias: dim * (state + 1), resets: dim * (state + 2) } as const;
}

export function scanLimits(gpu: Gpu): ScanLimits {
  return {
    workgroup: gpu.workgroup(1024),
    memory: gpu.limits.maxComputeWorkgroupStorageSize,
    subgroup: gpu.subgroups?.min ?? 0,
  };
}

/** The sizes and options that decide on a scan's layout, beside the strides of B and C. */
export interface ScanSizes
  extends Pick<Scan, 'batch' | 'length' | 'dim' | 'states' | 'groups' | 'discretization' | 'resets'> {
  readonly keptSteps?: number | undefined;
}

/** The reason why a scan of these sizes cannot run on this device, although its tensors fit. */
export function scanRefusal(kernels: KernelContext, sizes: ScanSizes, B: Strides, C: Strides): string | undefined {
  const { gpu, scanVariant } = kernels;
  const { batch, length, dim, states, groups, resets } = sizes;
  const plan = planScan(scanShape(sizes, B, C), scanLimits(gpu), scanVariant);
  if (typeof plan === 'string') return plan;
  const { chunks, channels } = plan;
  const constants = constantsSize(dim, states, resets ? batch * length : 0);
  return (
    workgroupsRefusal(gpu, 'batch', batch) ??
    bindingRefusal(gpu, 'A, D, deltaBias and resets together', constants) ??
    bindingRefusal(gpu, 'the state', batch * dim * states) ??
    (chunks > 1 ? bindingRefusal(gpu, 'the states of all chunks', batch * chunks * dim * (states + 2)) : undefined) ??
    workgroupsRefusal(gpu, 'channels', groups * Math.ceil(dim / groups / channels))
  );
}

/** Whether the kernel that runs a scan of these sizes reads and writes halves. */
export function takesHalves({ gpu, scanVariant }: KernelContext, sizes: ScanSizes, B: Strides, C: Strides): boolean {
  const plan = planScan(scanShape(sizes, B, C), scanLimits(gpu), scanVariant);
  return typeof plan !== 'string' && plan.layout.kernel === 'euler';
}

/** The shape that a plan depends on. */
export function scanShape(call: ScanSizes, B: Strides, C: Strides): ScanShape {
  const { batch, length, dim, states, groups, discretization, keptSteps } = call;
  const inQuads = ({ row, group, offset }: Strides): boolean =>
    row !== undefined && [row, group, offset].every((stride) => stride % 4 === 0);
  return {
    batch,
    length,
    dim,
    state: states,
    groups,
    bilinear: discretization === 'bilinear',
    keptSteps,
    euler: discretization === 'euler' && !call.resets && inQuads(B) && inQuads(C),
  };
}

export function scan({ gpu, scanVariant }: KernelContext, call: Scan): void {
  const { batch, dim, states } = call;
  const shape = scanShape({ ...call, keptSteps: call.kept?.steps }, call.B, call.C);
  const plan = planScan(shape, scanLimits(gpu), scanVariant);
  if (typeof plan === 'string') throw new MambaError('unsupported', plan, { origin: 'selectiveScan' });
  if (plan.chunks === 1) {
    pass(gpu, call, plan, 0, { y: call.y, state: call.state, C: call.C.range });
    return;
  }
  gpu.allocating((allocator) => {
    const pairs = batch * plan.chunks * dim;
    const chunked = wholeRange(allocator.scratch(4 * pairs * (states + 2), 'selective-scan chunks'));
    pass(gpu, call, plan, 1, { y: gpu.unusedOutput, state: chunked, C: gpu.unusedInput });
    gpu.dispatch(selectiveScanCarry, {
      bindings: { constants: call.constants, chunked, state: call.state },
      uniforms: {
        batch,
        dim,
        states,
        chunks: plan.chunks,
        discretization: DISCRETIZATION[call.discretization],
        begun: Number(call.begun),
      },
      workgroups: gpu.grid(Math.ceil((batch * dim * states) / 64)),
    });
    pass(gpu, call, plan, 2, { y: call.y, state: chunked, C: call.C.range });
  });
}

type Mode = 0 | 1 | 2;

interface Targets {
  readonly y: BufferRange;
  readonly state: BufferRange;
  readonly C: BufferRange;
}

/** Dispatches one of a shader's modes over all channels and chunks. */
function pass(gpu: Gpu, call: Scan, plan: ScanPlan, mode: Mode, targets: Targets): void {
  const { batch, length, dim, states, groups, B, C, z } = call;
  const { chunks, chunkLength } = plan;
  const channelsPerGroup = dim / groups;
  const tilesPerGroup = Math.ceil(channelsPerGroup / plan.channels);
  // The Euler kernel counts strides in vec4s, the general one in elements.
  const unit = plan.layout.kernel === 'euler' ? 4 : 1;
  const parts = {
    bindings: {
      u: call.u,
      delta: call.delta,
      z: z?.range ?? gpu.unusedInput,
      B: B.range,
      C: targets.C,
      constants: call.constants,
      y: targets.y,
      state: targets.state,
      kept: call.kept?.range ?? gpu.unusedOutput,
    },
    uniforms: {
      length,
      dim,
      states,
      chunkLength,
      chunks,
      summaries: batch * chunks * dim * states,
      channelsPerGroup,
      tilesPerGroup,
      bRow: (B.row ?? 0) / unit,
      bGroup: B.group / unit,
      bOffset: B.offset / unit,
      cRow: (C.row ?? 0) / unit,
      cGroup: C.group / unit,
      cOffset: C.offset / unit,
      zRow: z?.row ?? 0,
      zOffset: z?.offset ?? 0,
      keptTiles: call.kept === undefined ? 0 : Math.ceil(length / call.kept.steps),
      hasD: Number(call.skip),
      hasDeltaBias: Number(call.bias),
      // A chunk always begins with the state that the carry left.
      begun: Number(mode === 2 || call.begun),
    },
    workgroups: [groups * tilesPerGroup, chunks, batch],
  } as const;
  const shared = {
    MODE: mode,
    SOFTPLUS: call.softplus,
    GATE: z !== undefined && mode !== 1,
  };
  const keep = mode === 1 ? undefined : call.kept?.steps;
  if (plan.layout.kernel === 'euler')
    gpu.dispatch(selectiveScanEuler, {
      ...eulerOf(plan.layout, keep, call.stored),
      overrides: { ...shared, FULL: states === 16 },
      ...parts,
    });
  else gpu.dispatch(shader, { ...generalOf(plan.layout, call, mode, shared, keep), ...parts });
}

const LANES = { 1: 'one', 2: 'two', 4: 'four' } as const;

/** The specialisation of selective-scan-euler.wgsl for a layout. @param keep The steps between kept states. */
export function eulerOf(
  { lanes, channels, slices, steps }: EulerLayout,
  keep: number | undefined,
  stored: Stored = 'floats',
) {
  return {
    link: `${LANES[lanes]}-${stored}` as const,
    constants: {
      CHANNELS: channels,
      SLICES: slices,
      STEPS: steps,
      OWN: steps / lanes,
      STAGED: Math.ceil((4 * steps) / (channels * lanes)),
      HELD: (steps * 4) / lanes,
      BUFFERS: slices === 1 ? 2 : 3,
      HANDED: slices - 1,
      EXCHANGED: slices === 1 ? 1 : channels * lanes,
      ...keeping(keep),
    },
  };
}

function keeping(steps: number | undefined) {
  return { KEEP: steps === undefined ? 0 : 1, KEPT: steps ?? 16 };
}

function generalOf(
  layout: GeneralLayout,
  call: Scan,
  mode: Mode,
  shared: Readonly<Record<string, number | boolean>>,
  keep: number | undefined,
) {
  const { vec, vecsPerLane, lanes, workgroup, reduce, steps } = layout;
  const channels = workgroup / lanes;
  const tile = steps * lanes * vecsPerLane;
  const constantB = call.B.row === undefined;
  const constantC = call.C.row === undefined || mode === 1;
  return {
    link: `${vec}-${reduce}` as const,
    constants: {
      VECS_PER_LANE: vecsPerLane,
      BLOCK: Math.min(8, steps),
      ROUNDS: Math.ceil(tile / workgroup),
      ...keeping(keep),
    },
    overrides: {
      WORKGROUP: workgroup,
      LANES: lanes,
      STEPS: steps,
      DISCRETIZATION: DISCRETIZATION[call.discretization],
      ...shared,
      RESETS: call.resets,
      CONSTANT_B: constantB,
      CONSTANT_C: constantC,
      FULL: call.states === lanes * vecsPerLane * (vec === 'quad' ? 4 : 1),
      TILE_B: constantB ? 1 : 2 * tile,
      TILE_C: constantC ? 1 : 2 * tile,
      STAGED: lanes === 1 ? 1 : steps * channels,
      PARTS: lanes === 1 || mode === 1 ? 1 : steps * (reduce === 'subgroup' ? channels : workgroup),
    },
  };
}

function selective(range: BufferRange, constant: boolean, groups: number, state: number): Selective {
  return { range, ...stridesOf(constant, groups, state) };
}

/** The strides of a tensor `[batch, length, groups, state]`, or `[dim, state]` where constant. */
export function stridesOf(constant: boolean, groups: number, state: number): Strides {
  return constant ? { row: undefined, group: 0, offset: 0 } : { row: groups * state, group: state, offset: 0 };
}
