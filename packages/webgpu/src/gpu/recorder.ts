import type { Counters } from './counters.ts';
import type { Failures } from './failures.ts';
import { type Pipeline, Pipelines } from './pipelines.ts';
import type { Profiler } from './profiler.ts';
import type { BufferRange, Dispatch, Shader } from './shader.ts';
import { USAGE } from './usage.ts';

/** Dispatches of one submit. Enough for several tokens of decode; few enough that the device starts early. */
const BATCH = 1024;
/** Bind groups kept; they name buffers, so all are forgotten when a buffer is destroyed. */
const BIND_GROUPS = 4096;

/** A dispatch with everything looked up: what remains is to record it. */
export interface Prepared {
  readonly pipeline: Pipeline;
  readonly group: GPUBindGroup;
  readonly uniforms: Uint8Array;
  readonly buffers: readonly GPUBuffer[];
  readonly workgroups: readonly [number, number, number];
}

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
  readonly #bytes: Uint8Array;
  readonly #groups = new Map<string, GPUBindGroup>();
  readonly #ids = new WeakMap<GPUBuffer, number>();
  /** Buffers that recorded, unsubmitted work uses. */
  readonly #inUse = new Set<GPUBuffer>();
  #nextId = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  /** The pipeline that the open pass has set. */
  #current: Pipeline | undefined;
  readonly #offset = new Uint32Array(1);
  #captured: Prepared[] | undefined;
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
    this.#bytes = new Uint8Array(this.#staged);
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
    const pipeline = this.#pipelines.get(shader, call, (label, make) => this.#failures.watch(label, make));
    const uniforms = new DataView(new ArrayBuffer(shader.uniforms.size));
    for (const { name, offset, type } of shader.uniforms.fields) {
      const value = call.uniforms[name];
      if (type === 'f32') uniforms.setFloat32(offset, value, true);
      else uniforms.setUint32(offset, value, true);
    }
    const [x, y = 1, z = 1] = call.workgroups;
    const prepared: Prepared = {
      pipeline,
      group: this.#group(shader, pipeline.layout, call.bindings),
      uniforms: new Uint8Array(uniforms.buffer),
      buffers: shader.bindings.map(({ name }) => call.bindings[name].buffer),
      workgroups: [x, y, z],
    };
    if (this.#captured !== undefined) this.#captured.push(prepared);
    else this.#record(prepared);
  }

  /** Prepares the dispatches of `body` without recording them, to be replayed any number of times while their buffers live. */
  capture(body: () => void): readonly Prepared[] {
    const captured: Prepared[] = [];
    this.#captured = captured;
    try {
      body();
    } finally {
      this.#captured = undefined;
    }
    return captured;
  }

  replay(prepared: readonly Prepared[]): void {
    this.#failures.checkAlive();
    for (const item of prepared) this.#record(item);
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

  #record({ pipeline, group, uniforms, buffers, workgroups: [x, y, z] }: Prepared): void {
    if (this.#recorded === BATCH || this.#profiler?.full === true) this.flush();
    const offset = this.#recorded * this.#stride;
    this.#bytes.set(uniforms, offset);
    for (const buffer of buffers) this.#inUse.add(buffer);
    const pass = this.#beginPass(pipeline.label);
    if (this.#current !== pipeline) pass.setPipeline(pipeline.pipeline);
    this.#current = pipeline;
    this.#offset[0] = offset;
    if (uniforms.length > 0) pass.setBindGroup(0, group, this.#offset, 0, 1);
    else pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y, z);
    if (this.#profiler !== undefined) this.#endPass();
    this.#recorded++;
    this.#counters.dispatches++;
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
    this.#current = undefined;
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
