import { MambaError, type SsdScanGradients, type TensorSpec } from '@mamba/core';
import type { DeviceTensor, SsdScanBackwardCall } from '@mamba/core/driver';
import {
  linearSum,
  ssdScanBackwardInputs,
  ssdScanBackwardOutputs,
  ssdScanBackwardProducts,
  ssdScanBackwardSelective,
  ssdScanBackwardSteps,
} from '../generated/index.ts';
import type { PooledBuffer } from '../gpu/buffer-pool.ts';
import { wholeRange } from '../gpu/gpu.ts';
import { workgroupsRefusal } from '../gpu/limits.ts';
import type { BufferRange } from '../gpu/shader.ts';
import { rangeOf, type Storage, unsplitStorage } from '../storage.ts';
import { sumColumns } from './column-sum.ts';
import type { KernelContext } from './kernel-context.ts';
import { activate } from './multiply.ts';
import {
  begin,
  carry,
  optionsOf,
  type SsdPass,
  type Strided,
  shapeOf,
  takeStates,
  takeSteps,
  uniformsOf,
} from './ssd-scan.ts';
import { largestPlan, type SsdPlan, type SsdShape, wholeLines } from './ssd-scan-plan.ts';

/**
 * Gradients of Mamba-2's scan in chunks of 64 steps, for one range of rows of the batch after the other: steps, C Bᵀ
 * and the states before chunks as forward has them; the gradients of the states behind them, in reverse; then the
 * gradients of z, x, B, C and dt; and sums over chunks and rows, in a fixed order.
 */
export function ssdScanBackward(
  kernels: KernelContext,
  call: SsdScanBackwardCall<DeviceTensor<Storage>>,
): SsdScanGradients<Storage> {
  const { gpu } = kernels;
  const planned = planBackward(kernels, call);
  if (typeof planned === 'string') throw new MambaError('unsupported', planned, { origin: 'ssdScanBackward' });
  const { batch, length, heads, headDim, groups, state } = call;
  return gpu.allocating((allocator) => {
    const gradient = (name: string, elements: number): PooledBuffer =>
      allocator.result(4 * elements, `ssd-scan-backward ${name}`);
    const elements = batch * length * heads * headDim;
    const results = {
      x: gradient('x', elements),
      dt: gradient('dt', batch * length * heads),
      A: gradient('A', heads),
      B: gradient('B', batch * length * groups * state),
      C: gradient('C', batch * length * groups * state),
      D: call.D && gradient('D', call.wideD ? heads * headDim : heads),
      z: call.z && gradient('z', elements),
      dtBias: call.dtBias && gradient('dtBias', heads),
      initialState: call.initialState && gradient('initial state', batch * heads * headDim * state),
    };
    const states = 4 * batch * heads * headDim * state;
    const carried = allocator.scratch(states, 'ssd-scan-backward state');
    begin(gpu, carried, call.initialState);
    const adjoint = results.initialState ?? allocator.scratch(states, 'ssd-scan-backward adjoint');
    begin(gpu, adjoint, call.dLastState);
    const { plan, sums } = planned;
    const memory = (floats: number, label: string): BufferRange =>
      wholeRange(allocator.scratch(4 * floats, `ssd-scan-backward ${label}`));
    const shared: Shared = {
      kernels,
      call,
      ...planned,
      work: memory(plan.work.size, 'work'),
      states: memory(plan.states, 'states'),
      adjoints: memory(plan.states, 'adjoints'),
      buffer: memory(sums.size, 'sums'),
      ds: call.z ? memory(elements, 'ds') : rangeOf(call.dy),
      carried: wholeRange(carried),
      adjoint: wholeRange(adjoint),
      results,
    };
    if (call.z)
      activate(gpu, {
        ...{ a: rangeOf(call.z), b: rangeOf(call.dy), y: shared.ds, activation: 'silu', scale: 1, size: elements },
      });
    for (let firstRow = 0; firstRow < batch; firstRow += plan.rows)
      rowsBackward(shared, firstRow, Math.min(plan.rows, batch - firstRow));
    addShared(shared);
    const { D, z, dtBias, initialState } = results;
    return {
      x: unsplitStorage(results.x),
      dt: unsplitStorage(results.dt),
      A: unsplitStorage(results.A),
      B: unsplitStorage(results.B),
      C: unsplitStorage(results.C),
      ...(D && { D: unsplitStorage(D) }),
      ...(z && { z: unsplitStorage(z) }),
      ...(dtBias && { dtBias: unsplitStorage(dtBias) }),
      ...(initialState && { initialState: unsplitStorage(initialState) }),
    };
  });
}

/** The reason why a backward scan cannot run on this device, although its tensors fit. */
export function ssdBackwardRefusal(kernels: KernelContext, call: SsdScanBackwardCall<TensorSpec>): string | undefined {
  const planned = planBackward(kernels, call);
  if (typeof planned === 'string') return planned;
  const { gpu } = kernels;
  const { plan, ranges } = planned;
  const tiles = Math.ceil(call.headDim / 64) * Math.ceil(call.state / 64);
  return (
    workgroupsRefusal(gpu, 'heads', Math.max(call.heads, call.groups)) ??
    workgroupsRefusal(gpu, 'batch', plan.rows * ranges) ??
    workgroupsRefusal(gpu, 'steps', plan.chunks * tiles)
  );
}

/** What the dispatches of all ranges of rows share. */
interface Shared extends Planned {
  readonly kernels: KernelContext;
  readonly call: SsdScanBackwardCall<DeviceTensor<Storage>>;
  readonly work: BufferRange;
  readonly states: BufferRange;
  readonly adjoints: BufferRange;
  readonly buffer: BufferRange;
  readonly ds: BufferRange;
  readonly carried: BufferRange;
  readonly adjoint: BufferRange;
  readonly results: {
    readonly [K in 'x' | 'dt' | 'A' | 'B' | 'C']: PooledBuffer;
  } & { readonly [K in 'D' | 'z' | 'dtBias']: PooledBuffer | undefined };
}

interface Planned {
  readonly plan: SsdPlan;
  readonly sums: Sums;
  /** Ranges of heads of a group whose dB and dC are summed together. */
  readonly ranges: number;
}

/** Places in the buffer that lib/ssd-sums.wgsl describes, and its size, in floats. */
interface Sums {
  readonly along: number;
  readonly behind: number;
  readonly entered: number;
  readonly passing: number;
  readonly products: number;
  readonly sharedA: number;
  readonly sharedBias: number;
  readonly sharedD: number;
  readonly size: number;
}

const CHUNK = 64;
/** Workgroups that fill a device. */
const FILLING = 264;

function planBackward(
  { gpu, ssdVariant }: KernelContext,
  call: Parameters<typeof shapeOf>[0] & { readonly z: unknown },
): Planned | string {
  const shape = shapeOf(call);
  const most = gpu.maxBinding / 4;
  for (let rows = Math.min(shape.batch, ssdVariant?.rows ?? shape.batch); rows >= 1; rows = Math.floor(rows / 2)) {
    const plan = largestPlan(shape, CHUNK, rows, most);
    if (plan === undefined) break;
    const groupHeads = shape.heads / shape.groups;
    const wanted = Math.min(groupHeads, Math.ceil(FILLING / (plan.rows * plan.chunks * shape.groups)));
    const ranges = Math.ceil(groupHeads / Math.ceil(groupHeads / wanted));
    const sums = sumsOf(shape, plan, ranges);
    const parts = ranges * plan.rows * shape.length * shape.groups * shape.state;
    if (sums.size <= most && parts <= most) return { plan, sums, ranges };
    rows = plan.rows;
  }
  return `one sequence of ${shape.length} steps needs more memory than the ${gpu.maxBinding} bytes that a shader may bind here`;
}

function sumsOf(shape: SsdShape, { chunks, rows }: SsdPlan, ranges: number): Sums {
  const { batch, heads, headDim, groups } = shape;
  const channelTiles = Math.ceil(headDim / 64);
  const ofHeads = rows * chunks * heads * CHUNK;
  const sizes = {
    along: ofHeads * channelTiles,
    behind: ofHeads * channelTiles,
    entered: ofHeads * channelTiles,
    passing: ofHeads,
    products: ranges * rows * chunks * groups * CHUNK * CHUNK,
    sharedA: batch * chunks * heads,
    sharedBias: batch * chunks * heads,
    sharedD: batch * chunks * heads * Math.max(headDim, channelTiles),
  };
  let size = 0;
  const at = {} as Record<keyof typeof sizes, number>;
  for (const name of Object.keys(sizes) as (keyof typeof sizes)[]) {
    at[name] = size;
    size += wholeLines(sizes[name]);
  }
  return { ...at, size };
}

function rowsBackward(shared: Shared, firstRow: number, rows: number): void {
  const { kernels, call, plan, sums, ranges, work, states, adjoints, buffer, ds, results } = shared;
  const { gpu } = kernels;
  const { heads, headDim, groups, state } = call;
  const dense = (tensor: DeviceTensor<Storage>, row: number): Strided => ({ range: rangeOf(tensor), row, offset: 0 });
  const scan: SsdPass['call'] = {
    ...optionsOf(call),
    x: dense(call.x, heads * headDim),
    dt: dense(call.dt, heads),
    B: dense(call.B, groups * state),
    C: dense(call.C, groups * state),
    z: call.z && dense(call.z, heads * headDim),
  };
  const pass: SsdPass = { gpu, call: scan, plan, work, firstRow, rows };
  takeSteps(pass, true);
  takeStates(pass, states, false);
  carry(pass, states, shared.carried, false);
  const reversed = { ...pass, call: { ...scan, x: { ...scan.x, range: ds }, B: scan.C } };
  takeStates(reversed, adjoints, true);
  carry(pass, adjoints, shared.adjoint, true);
  const uniforms = {
    ...uniformsOf(pass),
    ranges,
    rangeHeads: Math.ceil(heads / groups / ranges),
    atAlong: sums.along,
    atBehind: sums.behind,
    atEntered: sums.entered,
    atPassing: sums.passing,
    atProducts: sums.products,
    atSharedA: sums.sharedA,
    atSharedBias: sums.sharedBias,
    atSharedD: sums.sharedD,
  };
  const { channelTiles, stateTiles } = uniforms;
  const [GATE, SKIP] = [call.z !== undefined, call.D !== undefined];
  const tiles = [plan.chunks * channelTiles, heads, rows] as const;
  gpu.dispatch(ssdScanBackwardOutputs, {
    overrides: { CHUNK, GATE, SKIP },
    bindings: {
      work,
      x: scan.x.range,
      C: scan.C.range,
      states,
      z: scan.z?.range ?? gpu.unusedInput,
      dy: rangeOf(call.dy),
      dz: results.z ? wholeRange(results.z) : gpu.unusedOutput,
      sums: buffer,
    },
    uniforms,
    workgroups: tiles,
  });
  gpu.dispatch(ssdScanBackwardInputs, {
    overrides: { CHUNK, SKIP },
    bindings: { work, x: scan.x.range, ds, B: scan.B.range, adjoints, dx: wholeRange(results.x), sums: buffer },
    uniforms,
    workgroups: tiles,
  });
  gpu.dispatch(ssdScanBackwardProducts, {
    overrides: { CHUNK },
    bindings: { work, x: scan.x.range, ds, sums: buffer },
    uniforms,
    workgroups: [plan.chunks, groups, rows * ranges],
  });
  for (const OF_B of [false, true])
    selective(shared, firstRow, rows, wholeRange(OF_B ? results.B : results.C), (gradient) =>
      gpu.dispatch(ssdScanBackwardSelective, {
        overrides: { CHUNK, OF_B },
        bindings: {
          work,
          x: OF_B ? scan.x.range : ds,
          states: OF_B ? adjoints : states,
          other: OF_B ? scan.C.range : scan.B.range,
          sums: buffer,
          gradient,
        },
        uniforms,
        workgroups: [plan.chunks * stateTiles, groups, rows * ranges],
      }),
    );
  gpu.dispatch(ssdScanBackwardSteps, {
    overrides: { CHUNK, RESETS: call.resets !== undefined },
    bindings: { work, states, adjoints, sums: buffer, ddt: wholeRange(results.dt) },
    uniforms,
    workgroups: [plan.chunks, heads, rows],
  });
}

/** Lets the gradient of B or C be written by ranges of heads, and adds them up where there are several. */
function selective(
  { kernels: { gpu }, call, ranges }: Shared,
  firstRow: number,
  rows: number,
  target: BufferRange,
  write: (gradient: BufferRange) => void,
): void {
  const { batch, length, groups, state } = call;
  if (ranges === 1 && rows === batch) {
    write(target);
    return;
  }
  gpu.allocating((allocator) => {
    const size = rows * length * groups * state;
    const parts = wholeRange(allocator.scratch(4 * ranges * size, 'ssd-scan-backward parts'));
    write(parts);
    gpu.dispatch(linearSum, {
      link: 'floats',
      overrides: { BIAS: false, ACCUMULATE: false },
      bindings: { parts, bias: gpu.unusedInput, y: target },
      uniforms: { outputs: size, rows: 1, splits: ranges, yRow: size, yOffset: firstRow * length * groups * state },
      workgroups: gpu.grid(Math.ceil(size / 256)),
    });
  });
}

/** Adds up the parts of dA, dDtBias and dD over rows and chunks. */
function addShared({ kernels: { gpu }, call, plan, sums, buffer, results }: Shared): void {
  const { batch, heads, headDim, wideD } = call;
  const rows = batch * plan.chunks;
  const add = (begins: number, parts: number, columns: number, y: PooledBuffer | undefined): void => {
    if (y !== undefined) sumColumns(gpu, { x: buffer, begin: begins, rows: parts, columns }, wholeRange(y));
  };
  add(sums.sharedA, rows, heads, results.A);
  add(sums.sharedBias, rows, heads, results.dtBias);
  if (wideD) add(sums.sharedD, rows, heads * headDim, results.D);
  else add(sums.sharedD, rows * Math.ceil(headDim / 64), heads, results.D);
}
