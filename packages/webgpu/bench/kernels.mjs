// Times of kernels on this machine's GPU, from the device's own timestamps: the scan over shapes and layouts, matrix products, the
// convolution, a prefill and a decode step by kernel; and the device's ceilings and fixed costs beside them. Prints tables and, with
// --json FILE, writes everything.
//
//   node packages/webgpu/bench/kernels.mjs [--json FILE] [--only scan,linear,…] [--quick] [--unchecked]
//     [--precision float32,float16x2,float16]
//
// Timestamps are quantised unless Dawn is told otherwise, so that the toggle is set here; --unchecked sets as well those that remove
// checks. Needs built packages (npm run build) and a driver; without hardware, --quick runs on SwiftShader as a check of the program.
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { seededWeights } from '@mamba/conformance';
import { createModel, modelConfig } from '@mamba/core';
import { countersOf, profileOf, webgpu } from '@mamba/webgpu';
import { create } from 'webgpu';
import { heater } from './warm.mjs';

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    quick: { type: 'boolean' },
    unchecked: { type: 'boolean' },
    precision: { type: 'string', default: 'float32,float16x2,float16' },
  },
});
const only = flags.only?.split(',');
const quick = flags.quick === true;
const precisions = flags.precision.split(',');
const toggles = {
  enable: [
    'allow_unsafe_apis', // matrix units
    'vulkan_enable_f16_on_nvidia',
    ...(flags.unchecked ? ['disable_robustness', 'disable_workgroup_init', 'skip_validation'] : []),
  ],
  disable: ['timestamp_quantization'],
};

const FEATURES = ['timestamp-query', 'subgroups', 'shader-f16', 'chromium-experimental-subgroup-matrix'];

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
];

const MODELS = {
  'mamba-130m': { layers: 24, dModel: 768, vocabSize: 50280 },
  'mamba-370m': { layers: 48, dModel: 1024, vocabSize: 50280 },
  'mamba-1.4b': { layers: 48, dModel: 2048, vocabSize: 50280 },
  'mamba-2.8b': { layers: 64, dModel: 2560, vocabSize: 50280 },
};

const rows = [];
const failed = [];
const sections = { ceilings, scan, slope, linear, conv, models, prefills };
let copyBytesPerSecond;
for (const [name, section] of Object.entries(sections)) {
  if (only !== undefined && !only.includes(name)) continue;
  try {
    await section();
  } catch (error) {
    failed.push({ section: name, error: String(error) });
  }
}
if (flags.json !== undefined) {
  const probe = await webgpu({ toggles }).create();
  const device = { ...probe.details };
  await probe.dispose();
  const report = { kind: 'mamba-kernels', date: new Date().toISOString(), node: process.version, toggles, device };
  writeFileSync(flags.json, `${JSON.stringify({ ...report, rows, failed }, null, 1)}\n`);
}
for (const { section, error } of failed) console.error(`${section} failed: ${error}`);
if (failed.length > 0) process.exitCode = 1;

function report(row) {
  rows.push(row);
  console.log(line(row));
}

function line({ name, microseconds, ...rest }) {
  const text = Object.entries(rest)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`);
  return `${name.padEnd(34)} ${microseconds === undefined ? '' : `${microseconds.toFixed(1)} µs`.padStart(12)}  ${text.join('  ')}`;
}

/** Microseconds of device time of one call: the least of some groups' means, after a warm-up. */
async function deviceTime(backend, call, { groups = 6, calls = 3, heat } = {}) {
  // A device that idled runs slowly at first: it is kept busy for a while.
  for (const begin = performance.now(); performance.now() - begin < (quick || heat ? 1 : 100); ) {
    call();
    await backend.synchronize();
  }
  await profileOf(backend);
  let least = Number.POSITIVE_INFINITY;
  for (let group = 0; group < (quick ? 1 : groups); group++) {
    heat?.(10);
    for (let index = 0; index < calls; index++) call();
    const profile = await profileOf(backend);
    least = Math.min(least, profile.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0) / calls / 1000);
  }
  return least;
}

/** Of one of many calls in a row, by the clock: what passes of their own add to each dispatch is not in it. */
async function timeInARow(backend, call, heat) {
  const timed = async (calls) => {
    heat?.(10);
    const begin = performance.now();
    for (let index = 0; index < calls; index++) call();
    await backend.synchronize();
    return performance.now() - begin;
  };
  await timed(10);
  const [few, many] = quick ? [1, 2] : [50, 250];
  let [least, most] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    least = Math.min(least, await timed(few));
    most = Math.min(most, await timed(many));
  }
  return (1000 * (most - least)) / (many - few);
}

function random(size, scale = 1, offset = 0) {
  const values = new Float32Array(size);
  let seed = 123456789;
  for (let i = 0; i < size; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    values[i] = offset + scale * (seed / 2 ** 31 - 1);
  }
  return values;
}

function tensor(backend, shape, scale, offset) {
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (size <= 1 << 20) return backend.upload({ dtype: 'float32', shape, data: random(size, scale, offset) });
  // Halves of the first axis that has any, until a piece is small: uploads would take longer than what is measured.
  const axis = shape.findIndex((extent) => extent % 2 === 0);
  const half = tensor(backend, shape.with(axis, shape[axis] / 2), scale, offset);
  const whole = backend.concat([half, half], axis);
  half.dispose();
  return whole;
}

/** One device for all backends of a section, so that they share pipelines. */
async function openDevice() {
  const gpu = create([
    ...(toggles.enable.length > 0 ? [`enable-dawn-features=${toggles.enable}`] : []),
    `disable-dawn-features=${toggles.disable}`,
  ]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  const device = await adapter.requestDevice({
    requiredFeatures: FEATURES.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(LIMITS.map((limit) => [limit, adapter.limits[limit]])),
  });
  // Dawn's bindings leave the matrix configurations out of a device's own information.
  Object.defineProperty(device, 'adapterInfo', { value: adapter.info });
  return { gpu, device };
}

/** Copy bandwidth, multiply-add peak, and what dispatches, submits and waits cost, with the bare API. */
async function ceilings() {
  const { gpu, device } = await openDevice();
  const big = Math.min(device.limits.maxStorageBufferBindingSize, quick ? 1 << 22 : 1 << 30) & ~0xfff;
  const storage = (size) => device.createBuffer({ size, usage: 0x80 | 4 | 8 });
  const pipeline = (code) =>
    device.createComputePipeline({ layout: 'auto', compute: { module: device.createShaderModule({ code }) } });
  const bind = (made, ...buffers) =>
    device.createBindGroup({
      layout: made.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  const querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
  const [resolved, mapped] = [0x200 | 4, 1 | 8].map((usage) => device.createBuffer({ size: 16, usage }));
  const timed = async (record) => {
    const times = [];
    for (let repeat = 0; repeat < (quick ? 2 : 10); repeat++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
      });
      record(pass);
      pass.end();
      encoder.resolveQuerySet(querySet, 0, 2, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, mapped, 0, 16);
      device.queue.submit([encoder.finish()]);
      await mapped.mapAsync(1);
      const [begin, end] = new BigUint64Array(mapped.getMappedRange());
      times.push(Number(end - begin) / 1000);
      mapped.unmap();
    }
    return Math.min(...times);
  };
  {
    const [x, y] = [storage(big), storage(big)];
    const copy = pipeline(`@group(0) @binding(0) var<storage, read> x: array<vec4f>;
      @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
      @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
        let i = id.y * n.x * 256u + id.x; y[i] = x[i]; }`);
    const group = bind(copy, x, y);
    const microseconds = await timed((pass) => {
      pass.setPipeline(copy);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(1024, big / 16 / 256 / 1024);
    });
    copyBytesPerSecond = (2 * big) / microseconds / 1e-6;
    report({ name: 'copy', microseconds, bytes: 2 * big, 'GB/s': copyBytesPerSecond / 1e9 });
    for (const buffer of [x, y]) buffer.destroy();
  }
  {
    const x = storage(1 << 22);
    const chains = 16;
    const steps = quick ? 64 : 4096;
    const each = (body) => Array.from({ length: chains }, (_, i) => body(i)).join(' ');
    // Independent chains of one register each; the factor comes from memory, so that nothing is known when it is compiled.
    const peak = pipeline(`@group(0) @binding(0) var<storage, read_write> x: array<f32>;
      @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
        let m = x[id.x]; let n = x[id.x + 1u]; ${each((i) => `var a${i} = m + ${i}.0;`)}
        for (var i = 0u; i < ${steps}u; i++) { ${each((i) => `a${i} = a${i} * m + n;`)} }
        x[id.x] = ${each((i) => `${i === 0 ? '' : '+ '}a${i}`)}; }`);
    const groups = quick ? 4 : 132 * 16;
    const group = bind(peak, x);
    const microseconds = await timed((pass) => {
      pass.setPipeline(peak);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(groups);
    });
    const operations = groups * 256 * chains * steps * 2;
    report({ name: 'multiply-add', microseconds, 'TFLOP/s': operations / microseconds / 1e6 });
    x.destroy();
  }
  {
    const x = storage(1024);
    const step = pipeline(`@group(0) @binding(0) var<storage, read_write> x: array<f32>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] = x[id.x] + 1.0; }`);
    const group = bind(step, x);
    const record = (pass, count) => {
      pass.setPipeline(step);
      for (let i = 0; i < count; i++) {
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(1);
      }
    };
    const count = quick ? 10 : 1000;
    const microseconds = (await timed((pass) => record(pass, count))) / count;
    report({ name: 'dependent dispatch', microseconds });
    const submits = quick ? 2 : 100;
    let begin = performance.now();
    for (let i = 0; i < submits; i++) {
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      record(pass, 200);
      pass.end();
      device.queue.submit([encoder.finish()]);
    }
    report({
      name: 'encode and submit, a dispatch',
      microseconds: ((performance.now() - begin) * 1000) / submits / 200,
    });
    await device.queue.onSubmittedWorkDone();
    begin = performance.now();
    for (let i = 0; i < submits; i++) {
      const encoder = device.createCommandEncoder();
      encoder.copyBufferToBuffer(x, 0, mapped, 0, 16);
      device.queue.submit([encoder.finish()]);
      await mapped.mapAsync(1);
      mapped.unmap();
    }
    report({ name: 'submit and map', microseconds: ((performance.now() - begin) * 1000) / submits });
  }
  device.destroy();
  return gpu;
}

/** Time of one forced variant over lengths to 2^20, and the slope of its logarithm over that of the length. */
async function slope() {
  const { gpu, device } = await openDevice();
  const dim = 64;
  const times = [];
  for (const length of quick ? [256, 512] : [1 << 14, 1 << 16, 1 << 18, 1 << 20]) {
    const backend = await webgpu({ device, profile: true, scanVariant: { chunks: length / 256 } }).create();
    const shape = [1, length, dim];
    const [u, delta] = [tensor(backend, shape), tensor(backend, shape, 1, -3)];
    const [B, C] = [tensor(backend, [1, length, 16]), tensor(backend, [1, length, 16])];
    const A = tensor(backend, [dim, 16], 0.5, -1);
    const microseconds = await deviceTime(backend, () => {
      const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, { deltaSoftplus: true });
      y.dispose();
      lastState.dispose();
    });
    times.push([Math.log(length), Math.log(microseconds)]);
    report({ name: 'scan of 64 channels in chunks of 256', microseconds, length });
    await backend.dispose();
  }
  const mean = (index) => times.reduce((sum, time) => sum + time[index], 0) / times.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = times.reduce((sum, time) => sum + (time[0] - x) * (time[1] - y), 0);
  const variance = times.reduce((sum, time) => sum + (time[0] - x) ** 2, 0);
  report({ name: 'slope of log time over log length', slope: covariance / variance });
  device.destroy();
  return gpu;
}

/** Over batch × channels and lengths: the plan's own choice (`rule`), and layouts forced. */
async function scan() {
  const shapes = quick
    ? [[1, 64, 512]]
    : (process.env.SHAPES?.split(' ').map((shape) => shape.split('x').map(Number)) ?? [
        ...[512, 2048, 8192, 1 << 15, 1 << 17].map((length) => [1, 512, length]),
        [1, 1024, 512],
        [1, 1024, 2048],
        [1, 1024, 8192],
        ...[512, 2048, 8192, 1 << 15].map((length) => [1, 1536, length]),
        [4, 1536, 2048],
        [1, 5120, 2048],
        [8, 2048, 2048],
        [16, 2048, 2048],
        [32, 2048, 1024],
        [64, 2048, 512],
        [1, 64, 1 << 20],
      ]);
  const { gpu, device } = await openDevice();
  // LAYOUTS forces some beside the rule: lanes:channels:slices:steps:chunk length, of the plain kernel.
  const layouts = [undefined];
  for (const entry of process.env.LAYOUTS?.split(' ') ?? []) {
    const [lanes, channels, slices, steps, chunkLength] = entry.split(':').map(Number);
    layouts.push({ entry, plain: { lanes, channels, slices, steps }, chunkLength });
  }
  const heat = quick ? undefined : await heater(device);
  for (const [batch, dim, length] of shapes) {
    for (const layout of layouts) {
      const { plain, chunkLength } = layout ?? {};
      if (chunkLength >= length) continue;
      const scanVariant = layout && { plain, chunks: chunkLength > 0 ? Math.ceil(length / chunkLength) : 1 };
      const backend = await webgpu({ device, profile: !process.env.IN_A_ROW, scanVariant }).create();
      try {
        const state = 16;
        const u = tensor(backend, [batch, length, dim]);
        const delta = tensor(backend, [batch, length, dim], 1, -3);
        const z = tensor(backend, [batch, length, dim]);
        const A = tensor(backend, [dim, state], 0.5, -1);
        const B = tensor(backend, [batch, length, state]);
        const C = tensor(backend, [batch, length, state]);
        const D = tensor(backend, [dim]);
        const call = () => {
          const { y, lastState } = backend.selectiveScan(u, delta, A, B, C, {
            D,
            z,
            deltaBias: D,
            deltaSoftplus: true,
          });
          y.dispose();
          lastState.dispose();
        };
        // The clocks fell while the operands were made.
        heat?.(800);
        const microseconds = await (process.env.IN_A_ROW
          ? timeInARow(backend, call, heat)
          : deviceTime(backend, call, { heat }));
        const elements = batch * length * dim;
        const bytes = 16 * elements + 8 * batch * length * state;
        const name = layout === undefined ? 'scan rule' : `scan ${layout.entry}`;
        report({
          name,
          microseconds,
          batch,
          dim,
          length,
          'Gelements/s': elements / microseconds / 1000,
          'GB/s': bytes / microseconds / 1000,
          ofCopy: copyBytesPerSecond && bytes / (microseconds * 1e-6) / copyBytesPerSecond,
        });
      } catch (error) {
        failed.push({ section: `scan ${batch} ${dim} ${length} ${JSON.stringify(scanVariant)}`, error: String(error) });
      } finally {
        await backend.dispose();
      }
    }
  }
  device.destroy();
  return gpu;
}

/** Products of few rows by bandwidth and of many by operations, for each way to store weights and each way to round. */
async function linear() {
  const few = quick
    ? [[1, 64, 128]]
    : [
        [1, 768, 3072],
        [1, 1536, 80],
        [1, 1536, 768],
        [1, 768, 50280],
        [1, 2560, 10240],
        [1, 5120, 2560],
        [1, 2560, 50280],
      ];
  const many = quick
    ? [[40, 64, 96]]
    : [
        [512, 768, 3072],
        [4096, 768, 3072],
        [16384, 768, 3072],
        [16384, 1536, 80],
        [16384, 1536, 768],
        [4096, 4096, 4096],
      ];
  const { gpu, device } = await openDevice();
  const heat = quick ? undefined : await heater(device);
  for (const matrixPrecision of precisions) {
    const backend = await webgpu({ device, profile: true, matrixPrecision }).create();
    const plain = matrixPrecision === 'float32';
    if (!plain && backend.details.matrixUnits === 'not used') continue;
    for (const dtype of plain ? ['float32', 'float16', 'q8'] : ['float32', 'float16']) {
      for (const [count, inputs, outputs] of plain ? [...few, ...many] : many)
        await product({ backend, heat, matrixPrecision, dtype, count, inputs, outputs });
    }
    await backend.dispose();
  }
  device.destroy();
  return gpu;
}

async function product({ backend, heat, matrixPrecision, dtype, count, inputs, outputs }) {
  const x = tensor(backend, [count, inputs]);
  // Rows repeat: random numbers and their conversion would take longer than everything else.
  const block = random(Math.min(outputs, 96) * inputs);
  const data = new Float32Array(inputs * outputs);
  for (let at = 0; at < data.length; at += block.length) data.set(block.subarray(0, data.length - at), at);
  // Several copies of a small matrix, so that it does not come from cache.
  const bytes = inputs * outputs * { float32: 4, float16: 2, q8: 1.125 }[dtype];
  const copies = count === 1 ? Math.max(1, Math.min(12, Math.ceil(1e8 / bytes))) : 1;
  const host =
    dtype === 'float16'
      ? { dtype, shape: [outputs, inputs], data: halvesLike(block, data.length) }
      : { dtype: 'float32', shape: [outputs, inputs], data };
  const weights = Array.from({ length: copies }, () => {
    heat?.(30);
    return backend.upload(host, { dtype, role: 'matrix' });
  });
  heat?.(300);
  const call = () => {
    for (const weight of weights) backend.linear(x, weight).dispose();
  };
  const microseconds = (await deviceTime(backend, call, { heat })) / copies;
  const flops = 2 * count * inputs * outputs;
  report({
    name: `linear ${dtype}`,
    microseconds,
    rows: count,
    inputs,
    outputs,
    ...(count === 1
      ? { 'GB/s': bytes / microseconds / 1000 }
      : { matrixPrecision, 'TFLOP/s': flops / microseconds / 1e6 }),
  });
  for (const item of [x, ...weights]) item.dispose();
}

async function conv() {
  const backend = await webgpu({ toggles, profile: true }).create();
  for (const [batch, length, dim] of quick
    ? [[1, 64, 64]]
    : [
        [1, 512, 1536],
        [1, 8192, 1536],
        [8, 2048, 2048],
      ]) {
    const x = tensor(backend, [batch, length, dim]);
    const weight = tensor(backend, [dim, 4]);
    const microseconds = await deviceTime(backend, () => {
      const { y, lastState } = backend.causalConv1d(x, weight, undefined, { activation: 'silu' });
      y.dispose();
      lastState.dispose();
    });
    report({
      name: 'conv',
      microseconds,
      batch,
      length,
      dim,
      'GB/s': (8 * batch * length * dim) / microseconds / 1000,
    });
    x.dispose();
  }
  await backend.dispose();
}

/** Greedy decoding and prefill of whole models: tokens a second, encoding's share, and device time by kernel. */
async function models() {
  const names = quick ? ['mamba-130m'] : (process.env.MODELS ?? 'mamba-130m').split(' ');
  for (const name of names) {
    const config = modelConfig(quick ? { layers: 2, dModel: 64, vocabSize: 500 } : MODELS[name]);
    const small = name === 'mamba-130m';
    const seeded = seededWeights(config, 1);
    const known = new Map();
    const kept = (parameter) => {
      if (!known.has(parameter.name)) known.set(parameter.name, seeded(parameter));
      return known.get(parameter.name);
    };
    const weights = small ? kept : repeatedWeights(config, () => {});
    for (const dtype of process.env.DTYPES?.split(' ') ?? (small ? ['float32', 'float16', 'q8'] : ['float16'])) {
      for (const profile of small ? [false, true] : [false]) {
        const backend = await webgpu({ toggles, profile }).create();
        try {
          const model = await createModel(backend, config, weights, { weights: dtype });
          const run = { name: `${name} ${dtype}`, backend, model, profile };
          await decode(run);
          await prefill(run, config.vocabSize);
        } finally {
          await backend.dispose();
        }
      }
    }
  }
}

/** Prefill of whole models with weights in halves, for each way to round: tokens a second over batches and lengths, by the host's clock. */
async function prefills() {
  const shapes = {
    'mamba-130m': [
      [1, 512],
      [1, 2048],
      [8, 2048],
      [16, 2048],
    ],
    'mamba-370m': [
      [1, 2048],
      [8, 2048],
    ],
    'mamba-1.4b': [
      [1, 2048],
      [4, 2048],
    ],
    'mamba-2.8b': [
      [1, 2048],
      [4, 2048],
    ],
  };
  const { gpu, device } = await openDevice();
  const heat = quick ? () => {} : await heater(device);
  const names = quick ? ['mamba-130m'] : (process.env.MODELS ?? Object.keys(shapes).join(' ')).split(' ');
  for (const name of names) {
    const config = modelConfig(quick ? { layers: 2, dModel: 64, vocabSize: 500 } : MODELS[name]);
    const weights = repeatedWeights(config, heat);
    const small = name === 'mamba-130m';
    for (const matrixPrecision of precisions) {
      for (const profile of small ? [false, true] : [false]) {
        const backend = await webgpu({ device, matrixPrecision, profile }).create();
        try {
          if (matrixPrecision !== 'float32' && backend.details.matrixUnits === 'not used') continue;
          const model = await createModel(backend, config, weights, { weights: 'float16' });
          for (const [batch, length] of quick ? [[2, 40]] : shapes[name])
            await prefillOf({ name, backend, model, matrixPrecision, profile, heat, batch, length });
          model.dispose();
        } catch (error) {
          failed.push({ section: `prefill ${name} ${matrixPrecision}`, error: String(error) });
        } finally {
          await backend.dispose();
        }
      }
    }
  }
  device.destroy();
  return gpu;
}

async function prefillOf({ name, backend, model, matrixPrecision, profile, heat, batch, length }) {
  const { vocabSize } = model.config;
  const ids = Array.from({ length: batch }, (_, row) =>
    Array.from({ length }, (_, index) => ((index + 7 * row) * 7919) % vocabSize),
  );
  const once = async () => {
    const begin = performance.now();
    const { logits, state } = model.forward(ids, { logits: 'last', chunk: length });
    await backend.synchronize();
    const time = performance.now() - begin;
    logits.dispose();
    state.dispose();
    return time;
  };
  await once();
  if (profile) {
    if (batch * length < 16384 && !quick) return;
    await profileOf(backend);
    heat(300);
    await once();
    pushProfile(`${name} ${matrixPrecision}`, `prefill ${batch} × ${length}`, await profileOf(backend), 1);
    return;
  }
  heat(500);
  const times = [];
  // Ten runs, fewer where they are long.
  const begin = performance.now();
  do times.push(await once());
  while (!quick && times.length < 10 && performance.now() - begin < 2000);
  times.sort((a, b) => a - b);
  const per = (milliseconds) => (batch * length) / (milliseconds / 1000);
  report({
    name: `prefill ${name} float16`,
    microseconds: 1000 * times[0],
    batch,
    length,
    matrixPrecision,
    'tokens/s': per(times[0]),
    'tokens/s, median': per(times[times.length >> 1]),
  });
}

/** Seeded values for what is small; for matrices, halves that repeat: billions of random numbers would take minutes. */
function repeatedWeights(config, heat) {
  const seeded = seededWeights(config, 1);
  const block = Uint16Array.from(random(1 << 20), toHalf);
  const known = new Map();
  return ({ name, key, shape }) => {
    heat(20);
    const small = !['embedding', 'head', 'block.inProj', 'block.xProj', 'block.dtProj', 'block.outProj'].includes(key);
    // Layers share the first one's.
    const id = name.replace(/layers\.\d+\./, '');
    if (!known.has(id)) known.set(id, small ? seeded({ name, key, shape }) : repeated(shape));
    return known.get(id);
  };
  function repeated(shape) {
    const data = new Uint16Array(shape[0] * shape[1]);
    for (let at = 0; at < data.length; at += block.length) data.set(block.subarray(0, data.length - at), at);
    return { dtype: 'float16', shape, data };
  }
}

function halvesLike(block, length) {
  const halves = Uint16Array.from(block, toHalf);
  const data = new Uint16Array(length);
  for (let at = 0; at < length; at += halves.length) data.set(halves.subarray(0, length - at), at);
  return data;
}

/** A float within ±1 as a half of a 32nd of it, rounded towards zero. */
function toHalf(value) {
  const bits = new Uint32Array(Float32Array.of(value / 32).buffer)[0];
  const exponent = ((bits >>> 23) & 255) - 112;
  return exponent <= 0 ? 0 : ((bits >>> 16) & 0x8000) | (exponent << 10) | ((bits >>> 13) & 0x3ff);
}

async function decode({ name, backend, model, profile }) {
  const count = quick ? 4 : 128;
  const generate = async (tokens) => {
    const begin = performance.now();
    const { ids, state } = model.decode([[7]], undefined, { count: tokens });
    const encoded = performance.now();
    await backend.read(ids);
    ids.dispose();
    state.dispose();
    return [performance.now() - begin, encoded - begin];
  };
  // Clocks rise while there is work.
  for (const begin = performance.now(); performance.now() - begin < (quick ? 1 : 1500); ) await generate(count);
  if (profile) {
    await profileOf(backend);
    await generate(quick ? 2 : 16);
    pushProfile(name, 'decode', await profileOf(backend), quick ? 2 : 16);
    return;
  }
  const before = countersOf(backend).dispatches;
  const runs = [];
  for (let run = 0; run < (quick ? 1 : 6); run++) runs.push(await generate(count));
  const dispatches = (countersOf(backend).dispatches - before) / runs.length / count;
  const [whole, encoding] = runs.reduce((best, run) => (run[0] < best[0] ? run : best));
  const bytes = backend.memory().bytes;
  report({
    name: `decode ${name}`,
    microseconds: (1000 * whole) / count,
    'GB/s': bytes / ((1e6 * whole) / count),
    'tokens/s': count / (whole / 1000),
    dispatches,
    'µs to encode a dispatch': (1000 * encoding) / count / dispatches,
  });
}

async function prefill({ name, backend, model, profile }, vocab) {
  for (const length of quick ? [16] : [512, 2048]) {
    const ids = [Array.from({ length }, (_, index) => (index * 7919) % vocab)];
    const once = async () => {
      const begin = performance.now();
      const { logits, state } = model.forward(ids, { logits: 'last' });
      await backend.synchronize();
      logits?.dispose();
      state.dispose();
      return performance.now() - begin;
    };
    for (let run = 0; run < (quick ? 1 : 6); run++) await once();
    if (profile) {
      await profileOf(backend);
      await once();
      pushProfile(name, `prefill ${length}`, await profileOf(backend), 1);
      continue;
    }
    let least = Number.POSITIVE_INFINITY;
    for (let run = 0; run < (quick ? 1 : 8); run++) least = Math.min(least, await once());
    report({ name: `prefill ${name}`, microseconds: 1000 * least, length, 'tokens/s': length / (least / 1000) });
  }
}

function pushProfile(model, what, profile, tokens) {
  for (const { label, dispatches, nanoseconds } of profile)
    report({
      name: `  ${what} ${model}`,
      microseconds: nanoseconds / tokens / 1000,
      dispatches: dispatches / tokens,
      'µs a dispatch': nanoseconds / dispatches / 1000,
      label,
    });
}
