import { MambaError, type TensorSpec } from '@mamba/core';
import type { DeviceTensor, SsdScanCall } from '@mamba/core/driver';
import {
  ssdScan as outputs,
  ssdScanQuads as outputsInQuads,
  ssdScanCarry,
  ssdScanCarrySegments,
  ssdScanGram,
  ssdScanSegments,
  ssdScanStates,
  ssdScanStatesQuads,
  ssdScanStep,
  ssdScanSteps,
} from '../generated/index.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { type Gpu, wholeRange } from '../gpu/gpu.ts';
import { workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import type { KernelContext } from './kernel-context.ts';
import { laneGroups } from './linear.ts';
import { type Packed, pack } from './pack.ts';
import {
  constantsOf,
  FEW_STEPS,
  inQuads,
  planSsd,
  type SsdPlan,
  type SsdSegments,
  type SsdShape,
  type SsdVariant,
} from './ssd-scan-plan.ts';

export function ssdScan(
  kernels: KernelContext,
  call: SsdScanCall<DeviceTensor<Storage>>,
): { y: Storage; lastState: Storage } {
  const { gpu } = kernels;
  const { batch, length, heads, headDim, groups, state, initialState } = call;
  return gpu.allocating((allocator) => {
    const y = allocator.result(4 * batch * length * heads * headDim, 'ssd-scan y');
    const carried = allocator.result(4 * batch * heads * headDim * state, 'ssd-scan state');
    if (initialState) begin(gpu, carried, initialState);
    const dense = (tensor: DeviceTensor<Storage>, row: number): Strided => ({ range: rangeOf(tensor), row, offset: 0 });
    const channels = heads * headDim;
    runSsd(kernels, {
      ...optionsOf(call),
      x: dense(call.x, channels),
      dt: dense(call.dt, heads),
      B: dense(call.B, groups * state),
      C: dense(call.C, groups * state),
      z: call.z && dense(call.z, channels),
      y: wholeRange(y),
      carried: wholeRange(carried),
      fresh: initialState === undefined,
    });
    return { y: unsplitStorage(y), lastState: unsplitStorage(carried) };
  });
}

/** Fills the memory of a state with the state before a call, or with zeros where there is none. */
export function begin(gpu: Gpu, { buffer, size }: PooledBuffer, before: DeviceTensor<Storage> | undefined): void {
  if (before === undefined) gpu.recorder.clear(buffer, 0, size);
  else gpu.recorder.copy(rangeOf(before).buffer, rangeOf(before).offset, buffer, 0, size);
}

/** A tensor `[batch, length, …]` whose steps lie `row` elements apart, the first at `offset`. */
export interface Strided {
  readonly range: BufferRange;
  readonly row: number;
  readonly offset: number;
}

/** The sizes and options of a scan, and the parameters that every head has. */
export interface SsdOptions {
  readonly A: BufferRange;
  readonly D: BufferRange | undefined;
  readonly dtBias: BufferRange | undefined;
  readonly resets: BufferRange | undefined;
  readonly wideD: boolean;
  readonly dtSoftplus: boolean;
  readonly dtMin: number;
  readonly dtMax: number;
  readonly batch: number;
  readonly length: number;
  readonly heads: number;
  readonly headDim: number;
  readonly groups: number;
  readonly state: number;
}

export interface SsdScan extends SsdOptions {
  readonly x: Strided;
  readonly dt: Strided;
  readonly B: Strided;
  readonly C: Strided;
  readonly z: Strided | undefined;
  /** Dense. */
  readonly y: BufferRange;
  /** `[batch, heads, headDim, state]`: the initial state, which becomes the last one. */
  readonly carried: BufferRange;
  /** Whether the initial state is zero, so that `carried` is only written. Default false. */
  readonly fresh?: boolean | undefined;
}

export function optionsOf(call: SsdScanCall<DeviceTensor<Storage>>): SsdOptions {
  const { D, dtBias, resets, wideD, dtSoftplus, dtMin, dtMax, batch, length, heads, headDim, groups, state } = call;
  return {
    A: rangeOf(call.A),
    D: D && rangeOf(D),
    dtBias: dtBias && rangeOf(dtBias),
    resets: resets && rangeOf(resets),
    wideD,
    dtSoftplus,
    dtMin,
    dtMax,
    batch,
    length,
    heads,
    headDim,
    groups,
    state,
  };
}

/** The shape that a plan depends on. */
export function shapeOf(
  call: Omit<SsdShape, 'skips' | 'resets'> & {
    readonly D: unknown;
    readonly resets: unknown;
    readonly wideD: boolean;
  },
): SsdShape {
  const { D, wideD, resets, batch, length, heads, headDim, groups, state } = call;
  const skips = D === undefined ? 0 : wideD ? heads * headDim : heads;
  return { batch, length, heads, headDim, groups, state, skips, resets: resets !== undefined };
}

/** The reason why a scan of this shape cannot run on this device, although its tensors fit. */
export function ssdRefusal(kernels: KernelContext, call: SsdScanCall<TensorSpec>): string | undefined {
  return shapeRefusal(kernels, shapeOf(call));
}

function shapeRefusal(kernels: KernelContext, shape: SsdShape): string | undefined {
  const { gpu, ssdVariant } = kernels;
  const { batch, length, heads, headDim, groups, state } = shape;
  if (isFew(shape, ssdVariant)) return workgroupsRefusal(gpu, 'batch', batch);
  const plan = planFor(kernels, shape);
  if (typeof plan === 'string') return plan;
  const tiles = Math.ceil(headDim / 64) * Math.max(Math.ceil(length / 64), plan.chunks * Math.ceil(state / 64));
  return (
    workgroupsRefusal(gpu, 'heads', Math.max(heads, groups)) ??
    workgroupsRefusal(gpu, 'batch', plan.rows * (plan.chunk / 64) ** 2) ??
    workgroupsRefusal(gpu, 'steps', tiles)
  );
}

function planFor({ gpu, ssdVariant }: KernelContext, shape: SsdShape): SsdPlan | string {
  return planSsd(shape, gpu.maxBinding / 4, ssdVariant);
}

function isFew({ length }: Pick<SsdShape, 'length'>, variant: SsdVariant | undefined): boolean {
  return length <= FEW_STEPS && variant?.chunked !== true;
}

function runSsd(kernels: KernelContext, call: SsdScan): void {
  const { gpu, ssdVariant } = kernels;
  const shape = shapeOf(call);
  if (isFew(shape, ssdVariant)) {
    stepSsd(gpu, call, shape);
    return;
  }
  const plan = planFor(kernels, shape);
  if (typeof plan === 'string') throw new MambaError('unsupported', plan, { origin: 'ssdScan' });
  gpu.allocating((allocator) => {
    const work = wholeRange(allocator.scratch(4 * plan.work.size, 'ssd-scan work'));
    const states = wholeRange(allocator.scratch(4 * plan.states, 'ssd-scan states'));
    for (let firstRow = 0; firstRow < call.batch; firstRow += plan.rows) {
      const rows = Math.min(plan.rows, call.batch - firstRow);
      const pass: SsdPass = { gpu, call, plan, work, firstRow, rows };
      takeSteps(pass, false);
      if (plan.segments === undefined) {
        takeStates(pass, states, false);
        carry(pass, states, call.carried, false, call.fresh);
        takeOutputs(pass, states, call.y);
      } else {
        takeSegments(pass, plan.segments, states, call.carried, call.fresh);
        takeOutputsInQuads(pass, plan.segments, states, call.y, call.fresh);
      }
    }
  });
}

/** A range of rows of a scan, forward or backward. */
export interface SsdPass {
  readonly gpu: Gpu;
  readonly call: Omit<SsdScan, 'y' | 'carried'>;
  readonly plan: SsdPlan;
  readonly work: BufferRange;
  readonly firstRow: number;
  readonly rows: number;
}

function takeOutputs(pass: SsdPass, states: BufferRange, y: BufferRange): void {
  const { gpu, call, plan, work, rows } = pass;
  const uniforms = uniformsOf(pass);
  gpu.dispatch(outputs, {
    overrides: { CHUNK: plan.chunk, GATE: call.z !== undefined, SKIP: call.D !== undefined },
    bindings: { work, x: call.x.range, C: call.C.range, states, z: call.z?.range ?? gpu.unusedInput, y },
    uniforms,
    workgroups: [plan.chunks * uniforms.rowTiles * uniforms.channelTiles, call.heads, rows],
  });
}

/** The states before all chunks, and the last one in `carried`; with `fresh` they begin at zero. */
function takeSegments(
  pass: SsdPass,
  segments: SsdSegments,
  states: BufferRange,
  carried: BufferRange,
  fresh = false,
): void {
  const { gpu, call, plan, work, rows } = pass;
  const { heads, headDim, state } = call;
  const uniforms = uniformsOf(pass);
  const overrides = { CHUNK: plan.chunk, FRESH: fresh, SEGMENTED: segments.count > 1 };
  gpu.dispatch(ssdScanSegments, {
    constants: wide(call),
    overrides: { ...overrides, BOTH: state > 64 },
    bindings: { work, x: call.x.range, B: call.B.range, states, carried },
    uniforms,
    workgroups: [segments.count * uniforms.channelTiles * Math.ceil(state / 128), heads, rows],
  });
  if (segments.count > 1)
    gpu.dispatch(ssdScanCarrySegments, {
      overrides,
      bindings: { work, states, carried },
      uniforms,
      workgroups: [Math.ceil((headDim * state) / 64), heads, rows],
    });
}

function takeOutputsInQuads(
  pass: SsdPass,
  segments: SsdSegments,
  states: BufferRange,
  y: BufferRange,
  fresh = false,
): void {
  const { gpu, call, plan, work, rows } = pass;
  const uniforms = uniformsOf(pass);
  gpu.dispatch(outputsInQuads, {
    constants: wide(call),
    overrides: {
      CHUNK: plan.chunk,
      FRESH: fresh,
      SEGMENTED: segments.count > 1,
      GATE: call.z !== undefined,
      SKIP: call.D !== undefined,
    },
    bindings: { work, x: call.x.range, C: call.C.range, states, z: call.z?.range ?? gpu.unusedInput, y },
    uniforms,
    workgroups: [call.heads, plan.chunks * (plan.chunk / 128) * uniforms.channelTiles, rows],
  });
}

/** The quads of columns of a lane of lib/ssd-block.wgsl. */
function wide({ headDim }: Pick<SsdOptions, 'headDim'>) {
  return { WIDE: headDim > 32 ? 2 : 1 };
}

/** Packs the parameters, and dispatches what all other kernels need: steps, and C Bᵀ. */
export function takeSteps(pass: SsdPass, slopes: boolean): void {
  const { gpu, call, plan, work, rows } = pass;
  const { chunk, chunks } = plan;
  const uniforms = uniformsOf(pass);
  packConstants(gpu, call, shapeOf(call), work, pass.firstRow, rows);
  gpu.dispatch(ssdScanSteps, {
    overrides: { CHUNK: chunk, ...stepOptions(call), SLOPES: slopes },
    bindings: { dt: call.dt.range, work },
    uniforms,
    workgroups: [chunks, call.heads, rows],
  });
  gpu.dispatch(ssdScanGram, {
    link: inQuads(call) ? 'quads' : 'singles',
    overrides: { CHUNK: chunk },
    bindings: { B: call.B.range, C: call.C.range, work },
    uniforms,
    workgroups: [chunks, call.groups, rows * uniforms.rowTiles ** 2],
  });
}

/** What chunks add to their states; with `adjoint`, to the gradient of the state before them, from ds and C. */
export function takeStates(pass: SsdPass, states: BufferRange, adjoint: boolean): void {
  const { gpu, call, plan, work, rows } = pass;
  const uniforms = uniformsOf(pass);
  gpu.dispatch(inQuads(call) ? ssdScanStatesQuads : ssdScanStates, {
    overrides: { CHUNK: plan.chunk, ADJOINT: adjoint },
    bindings: { work, x: call.x.range, B: call.B.range, states },
    uniforms,
    workgroups: [plan.chunks * uniforms.channelTiles * uniforms.stateTiles, call.heads, rows],
  });
}

/** Hands the state, or with `reverse` its gradient, from chunk to chunk; with `fresh` it begins at zero. */
export function carry(pass: SsdPass, states: BufferRange, carried: BufferRange, reverse: boolean, fresh = false): void {
  const { gpu, call, plan, work, rows } = pass;
  gpu.dispatch(ssdScanCarry, {
    overrides: { CHUNK: plan.chunk, REVERSE: reverse, FRESH: fresh },
    bindings: { work, states, carried },
    uniforms: uniformsOf(pass),
    workgroups: [Math.ceil((call.headDim * call.state) / 64), call.heads, rows],
  });
}

/** Copies A, D, dtBias and the marks of some rows to the beginning of a buffer. */
function packConstants(
  gpu: Gpu,
  { A, D, dtBias, resets, length, heads }: Pick<SsdOptions, 'A' | 'D' | 'dtBias' | 'resets' | 'length' | 'heads'>,
  shape: SsdShape,
  target: BufferRange,
  firstRow: number,
  rows: number,
): void {
  const at = constantsOf(shape, rows);
  const whole = (range: BufferRange | undefined, place: number, count: number): Packed => ({ range, at: place, count });
  pack(gpu, target, [
    whole(A, 0, heads),
    whole(D, at.D, shape.skips),
    whole(dtBias, at.bias, heads),
    { range: resets, begin: firstRow * length, at: at.marks, count: rows * length },
  ]);
}

/** Channels that lanes of a step share. */
const STEP_CHANNELS = 4;
/** Storage buffers of a step that binds A, D and the bias as they are. */
const BUFFERS_OF_STEP = 10;

function stepSsd(gpu: Gpu, call: SsdScan, shape: SsdShape): void {
  const { batch, heads, headDim, state } = call;
  const { lanes, link, workgroup } = laneGroups(gpu, 12 * state);
  const direct = call.resets === undefined && gpu.limits.maxStorageBuffersPerShaderStage >= BUFFERS_OF_STEP;
  const dispatch = (work: BufferRange): void =>
    gpu.dispatch(ssdScanStep, {
      link: `${inQuads(shape) ? 'quads' : 'singles'}-${link}`,
      constants: { DIRECT: Number(direct) },
      overrides: {
        WORKGROUP: workgroup,
        LANES: lanes,
        ...stepOptions(call),
        GATE: call.z !== undefined,
        SKIP: call.D !== undefined,
        FRESH: call.fresh ?? false,
      },
      bindings: {
        work,
        x: call.x.range,
        dt: call.dt.range,
        B: call.B.range,
        C: call.C.range,
        z: call.z?.range ?? gpu.unusedInput,
        carried: call.carried,
        y: call.y,
        D: call.D ?? gpu.unusedInput,
        dtBias: call.dtBias ?? gpu.unusedInput,
      },
      uniforms: stepUniforms(call, shape),
      workgroups: [Math.ceil((heads * Math.ceil(headDim / STEP_CHANNELS)) / (workgroup / lanes)), batch],
    });
  if (direct) {
    dispatch(call.A);
    return;
  }
  gpu.allocating((allocator) => {
    const { size } = constantsOf(shape, batch);
    const work = wholeRange(allocator.scratch(4 * size, 'ssd-scan constants'));
    packConstants(gpu, call, shape, work, 0, batch);
    dispatch(work);
  });
}

function stepOptions(call: Pick<SsdOptions, 'dtSoftplus' | 'dtBias' | 'dtMin' | 'dtMax' | 'resets'>) {
  return {
    SOFTPLUS: call.dtSoftplus,
    BIAS: call.dtBias !== undefined,
    LIMITS: Number.isFinite(call.dtMin) || Number.isFinite(call.dtMax),
    RESETS: call.resets !== undefined,
  };
}

/** The largest float32, which stands for no limit. */
const LARGEST = (2 - 2 ** -23) * 2 ** 127;

function stepUniforms(call: SsdPass['call'], shape: SsdShape) {
  const { x, dt, z, B, C, D, wideD, length, heads, headDim, groups, state } = call;
  const at = constantsOf(shape, 1);
  return {
    length,
    heads,
    headDim,
    groups,
    state,
    chunks: 1,
    rowTiles: 1,
    channelTiles: Math.ceil(headDim / 64),
    stateTiles: Math.ceil(state / 64),
    firstRow: 0,
    segments: 1,
    segmentChunks: 1,
    atEnds: 0,
    atThrough: 0,
    xRow: x.row,
    xOffset: x.offset,
    dtRow: dt.row,
    dtOffset: dt.offset,
    zRow: z?.row ?? 0,
    zOffset: z?.offset ?? 0,
    bRow: B.row,
    bOffset: B.offset,
    cRow: C.row,
    cOffset: C.offset,
    atD: at.D,
    atBias: at.bias,
    atMarks: at.marks,
    atSteps: 0,
    atGram: 0,
    dHead: D === undefined ? 0 : wideD ? headDim : 1,
    dChannel: wideD ? 1 : 0,
    dtMin: Math.max(call.dtMin, -LARGEST),
    dtMax: Math.min(call.dtMax, LARGEST),
    ranges: 1,
    rangeHeads: 0,
    atAlong: 0,
    atBehind: 0,
    atEntered: 0,
    atPassing: 0,
    atProducts: 0,
    atSharedA: 0,
    atSharedBias: 0,
    atSharedD: 0,
  };
}

/** The arguments of lib/ssd-args.wgsl. */
export function uniformsOf({ call, plan, firstRow }: Pick<SsdPass, 'call' | 'plan' | 'firstRow'>) {
  const { work, chunk, chunks, segments } = plan;
  return {
    ...stepUniforms(call, shapeOf(call)),
    chunks,
    rowTiles: chunk / 64,
    firstRow,
    segments: segments?.count ?? chunks,
    segmentChunks: segments?.chunks ?? 1,
    atEnds: segments?.ends ?? 0,
    atThrough: segments?.through ?? 0,
    atD: work.D,
    atBias: work.bias,
    atMarks: work.marks,
    atSteps: work.steps,
    atGram: work.gram,
  };
}
