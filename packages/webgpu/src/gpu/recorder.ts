import type { Counters } from './counters.ts';
import type { Failures } from './failures.ts';
import { Pipelines } from './pipelines.ts';
import type { Profiler } from './profiler.ts';
import type { BufferRange, Dispatch, Shader } from './shader.ts';
import { USAGE } from './usage.ts';

/** Dispatches of one submit. Enough for several tokens of decode; few enough that the device starts early. */
const BATCH = 1024;
/** Bind groups kept; they name buffers, so all are forgotten when a buffer is destroyed. */
const BIND_GROUPS = 4096;

/**
 * Records dispatches and copies into one command encoder and submits them together. Uniforms of a batch lie in one buffer, bound
 * with dynamic offsets, so that a bind group serves every call on the same buffers, and one write precedes a submit.
 */
export class Recorder {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #counters: Counters;
  readonly #profiler: Profiler | undefined;
  readonly #pipelines: Pipelines;
  readonly #stride: number;
  readonly #uniforms: GPUBuffer;
  readonly #staged: ArrayBuffer;
  readonly #view: DataView;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #ids = new WeakMap<GPUBuffer, number>();
  /** Buffers that recorded, unsubmitted work uses. */
  readonly #inUse = new Set<GPUBuffer>();
  #nextId = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #recorded = 0;
  #submitted = 0;

  constructor(device: GPUDevice, failures: Failures, counters: Counters, profiler: Profiler | undefined) {
    this.#device = device;
    this.#failures = failures;
    this.#counters = counters;
    this.#profiler = profiler;
    this.#pipelines = Pipelines.of(device);
    this.#stride = Math.max(64, device.limits.minUniformBufferOffsetAlignment);
    this.#staged = new ArrayBuffer(BATCH * this.#stride);
    this.#view = new DataView(this.#staged);
    this.#uniforms = failures.watch('the uniform buffer', () =>
      device.createBuffer({
        label: 'uniforms',
        size: this.#staged.byteLength,
        usage: USAGE.UNIFORM | USAGE.COPY_DST,
      }),
    );
  }

  dispatch<B extends string, U extends string, O extends string, C extends string, L extends string>(
    shader: Shader<B, U, O, C, L>,
    call: Dispatch<B, U, O, C, L>,
  ): void {
    this.#failures.checkAlive();
    if (this.#recorded === BATCH || this.#profiler?.full === true) this.flush();
    const pipeline = this.#pipelines.get(shader, call, (label, make) => this.#failures.watch(label, make));
    const offset = this.#recorded * this.#stride;
    for (const { name, offset: at, type } of shader.uniforms.fields) {
      const value = call.uniforms[name];
      if (type === 'f32') this.#view.setFloat32(offset + at, value, true);
      else this.#view.setUint32(offset + at, value, true);
    }
    const group = this.#group(shader, pipeline.layout, call.bindings);
    const pass = this.#beginPass(pipeline.label);
    pass.setPipeline(pipeline.pipeline);
    if (shader.uniforms.size > 0) pass.setBindGroup(0, group, [offset]);
    else pass.setBindGroup(0, group);
    const [x, y = 1, z = 1] = call.workgroups;
    pass.dispatchWorkgroups(x, y, z);
    if (this.#profiler !== undefined) this.#endPass();
    this.#recorded++;
    this.#counters.dispatches++;
  }

  copy(source: GPUBuffer, sourceOffset: number, target: GPUBuffer, targetOffset: number, size: number): void {
    this.#failures.checkAlive();
    const encoder = this.#endPass();
    encoder.copyBufferToBuffer(source, sourceOffset, target, targetOffset, size);
    this.#inUse.add(source).add(target);
    this.#counters.copies++;
  }

  clear(target: GPUBuffer, offset: number, size: number): void {
    this.#failures.checkAlive();
    this.#endPass().clearBuffer(target, offset, size);
    this.#inUse.add(target);
  }

  /** Writes from the host in the order of the calls: work that was recorded before and uses the buffer is submitted first. */
  write(target: GPUBuffer, offset: number, data: Uint8Array<ArrayBuffer>): void {
    this.#failures.checkAlive();
    if (this.#inUse.has(target)) this.flush();
    this.#device.queue.writeBuffer(target, offset, data);
    this.#counters.bytesUploaded += data.byteLength;
  }

  /** Submits what is recorded. */
  flush(): void {
    const encoder = this.#encoder;
    if (encoder === undefined) return;
    this.#endPass();
    this.#encoder = undefined;
    const first = this.#submitted;
    this.#submitted += this.#recorded;
    this.#failures.watch(`the submit of dispatches ${first} to ${this.#submitted}`, () => {
      this.#profiler?.resolve(encoder);
      if (this.#recorded > 0)
        this.#device.queue.writeBuffer(this.#uniforms, 0, this.#staged, 0, this.#recorded * this.#stride);
      this.#device.queue.submit([encoder.finish()]);
      this.#profiler?.submitted();
    });
    this.#recorded = 0;
    this.#inUse.clear();
    this.#counters.submits++;
  }

  /** Bind groups name buffers: forget them once one is destroyed. */
  forgetBuffers(): void {
    this.#groups.clear();
  }

  dispose(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder = undefined;
    this.#groups.clear();
    this.#inUse.clear();
    this.#uniforms.destroy();
  }

  #begin(): GPUCommandEncoder {
    this.#encoder ??= this.#device.createCommandEncoder({ label: 'mamba' });
    return this.#encoder;
  }

  #beginPass(label: string): GPUComputePassEncoder {
    const timestampWrites = this.#profiler?.begin(label);
    this.#pass ??= this.#begin().beginComputePass(
      timestampWrites === undefined ? { label: 'mamba' } : { label, timestampWrites },
    );
    return this.#pass;
  }

  #endPass(): GPUCommandEncoder {
    this.#pass?.end();
    this.#pass = undefined;
    return this.#begin();
  }

  #group<B extends string>(
    { stem, bindings, uniforms }: Shader<B>,
    layout: GPUBindGroupLayout,
    ranges: Readonly<Record<B, BufferRange>>,
  ): GPUBindGroup {
    let key = stem;
    for (const { name } of bindings) {
      const { buffer, offset, size } = ranges[name];
      key += ` ${this.#id(buffer)}+${offset}:${size}`;
      this.#inUse.add(buffer);
    }
    let group = this.#groups.get(key);
    if (group === undefined) {
      const entries: GPUBindGroupEntry[] = bindings.map(({ name, binding }) => ({ binding, resource: ranges[name] }));
      if (uniforms.size > 0)
        entries.push({ binding: 0, resource: { buffer: this.#uniforms, offset: 0, size: uniforms.size } });
      group = this.#failures.watch(`the bindings of ${stem}`, () =>
        this.#device.createBindGroup({ label: stem, layout, entries }),
      );
      if (this.#groups.size >= BIND_GROUPS) this.#groups.clear();
      this.#groups.set(key, group);
      this.#counters.bindGroups++;
    }
    return group;
  }

  #id(buffer: GPUBuffer): number {
    let id = this.#ids.get(buffer);
    if (id === undefined) {
      id = this.#nextId++;
      this.#ids.set(buffer, id);
    }
    return id;
  }
}
