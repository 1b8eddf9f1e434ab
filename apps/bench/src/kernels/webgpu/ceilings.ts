/**
 * The device's own limits, with the bare API: copy bandwidth, the multiply-add peak, and what dispatches, submits and
 * waits cost.
 */
import { CHAINS, FULL_DEVICE, multiplyAddShader } from './heater.ts';
import { type Session, withDevice } from './session.ts';

const USAGE = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 0x80, queryResolve: 0x200 } as const;

export function ceilings(session: Session): Promise<void> {
  return withDevice(session, async (device) => {
    const bench = new Bench(device, session.quick);
    await copy(session, bench);
    await multiplyAdd(session, bench);
    await dispatches(session, bench);
  });
}

type Record = (pass: GPUComputePassEncoder) => void;

/** A device with a pair of timestamps. */
class Bench {
  readonly device: GPUDevice;
  readonly #quick: boolean;
  readonly #querySet: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #mapped: GPUBuffer;

  constructor(device: GPUDevice, quick: boolean) {
    this.device = device;
    this.#quick = quick;
    this.#querySet = device.createQuerySet({ type: 'timestamp', count: 2 });
    this.#resolved = device.createBuffer({ size: 16, usage: USAGE.queryResolve | USAGE.copySource });
    this.#mapped = device.createBuffer({ size: 16, usage: USAGE.mapRead | USAGE.copyTarget });
  }

  storage(size: number): GPUBuffer {
    return this.device.createBuffer({ size, usage: USAGE.storage | USAGE.copySource | USAGE.copyTarget });
  }

  pipeline(code: string): GPUComputePipeline {
    const module = this.device.createShaderModule({ code });
    return this.device.createComputePipeline({ layout: 'auto', compute: { module } });
  }

  bind(pipeline: GPUComputePipeline, ...buffers: GPUBuffer[]): GPUBindGroup {
    return this.device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: buffers.map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
  }

  /** Microseconds of a pass on the device, the least of some. */
  async time(record: Record): Promise<number> {
    const times: number[] = [];
    for (let repeat = 0; repeat < (this.#quick ? 2 : 10); repeat++) {
      this.submit(
        record,
        { querySet: this.#querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 },
        (encoder) => {
          encoder.resolveQuerySet(this.#querySet, 0, 2, this.#resolved, 0);
          encoder.copyBufferToBuffer(this.#resolved, 0, this.#mapped, 0, 16);
        },
      );
      await this.#mapped.mapAsync(USAGE.mapRead);
      const [begin, end] = new BigUint64Array(this.#mapped.getMappedRange());
      times.push(Number(end! - begin!) / 1000);
      this.#mapped.unmap();
    }
    return Math.min(...times);
  }

  submit(
    record: Record,
    timestampWrites?: GPUComputePassTimestampWrites,
    after?: (encoder: GPUCommandEncoder) => void,
  ): void {
    const encoder = this.device.createCommandEncoder();
    const pass = encoder.beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
    record(pass);
    pass.end();
    after?.(encoder);
    this.device.queue.submit([encoder.finish()]);
  }

  /** Copies 16 bytes to the host, and waits for them. */
  async copyAndMap(from: GPUBuffer): Promise<void> {
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(from, 0, this.#mapped, 0, 16);
    this.device.queue.submit([encoder.finish()]);
    await this.#mapped.mapAsync(USAGE.mapRead);
    this.#mapped.unmap();
  }
}

async function copy(session: Session, bench: Bench): Promise<void> {
  const { maxStorageBufferBindingSize } = bench.device.limits;
  const bytes = Math.min(maxStorageBufferBindingSize, session.quick ? 1 << 22 : 1 << 30) & ~0xfff;
  const [x, y] = [bench.storage(bytes), bench.storage(bytes)];
  const pipeline = bench.pipeline(`@group(0) @binding(0) var<storage, read> x: array<vec4f>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec4f>;
    @compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
      let i = id.y * n.x * 256u + id.x; y[i] = x[i]; }`);
  const group = bench.bind(pipeline, x, y);
  const microseconds = await bench.time((pass) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(1024, bytes / 16 / 256 / 1024);
  });
  session.copyBytesPerSecond = (2 * bytes) / microseconds / 1e-6;
  session.report({ name: 'copy', microseconds, bytes: 2 * bytes, 'GB/s': session.copyBytesPerSecond / 1e9 });
  for (const buffer of [x, y]) buffer.destroy();
}

async function multiplyAdd({ quick, report }: Session, bench: Bench): Promise<void> {
  const x = bench.storage(1 << 22);
  const steps = quick ? 64 : 4096;
  const pipeline = bench.pipeline(multiplyAddShader(steps));
  const workgroups = quick ? 4 : FULL_DEVICE;
  const group = bench.bind(pipeline, x);
  const microseconds = await bench.time((pass) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(workgroups);
  });
  const operations = workgroups * 256 * CHAINS * steps * 2;
  report({ name: 'multiply-add', microseconds, 'TFLOP/s': operations / microseconds / 1e6 });
  x.destroy();
}

async function dispatches({ quick, report }: Session, bench: Bench): Promise<void> {
  const x = bench.storage(1024);
  const pipeline = bench.pipeline(`@group(0) @binding(0) var<storage, read_write> x: array<f32>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) { x[id.x] = x[id.x] + 1.0; }`);
  const group = bench.bind(pipeline, x);
  const many =
    (count: number): Record =>
    (pass) => {
      pass.setPipeline(pipeline);
      for (let i = 0; i < count; i++) {
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(1);
      }
    };
  const count = quick ? 10 : 1000;
  report({ name: 'dependent dispatch', microseconds: (await bench.time(many(count))) / count });
  const submits = quick ? 2 : 100;
  const perSubmit = (begin: number): number => ((performance.now() - begin) * 1000) / submits;
  let begin = performance.now();
  for (let i = 0; i < submits; i++) bench.submit(many(200));
  report({ name: 'encode and submit, a dispatch', microseconds: perSubmit(begin) / 200 });
  await bench.device.queue.onSubmittedWorkDone();
  begin = performance.now();
  for (let i = 0; i < submits; i++) await bench.copyAndMap(x);
  report({ name: 'submit and map', microseconds: perSubmit(begin) });
}
