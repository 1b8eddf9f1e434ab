import type { Counters } from './counters.ts';
import type { Failures } from './failures.ts';
import { ListMap } from './list-map.ts';
import { type Pipeline, Pipelines } from './pipelines.ts';
import type { Profiler } from './profiler.ts';
import { type BufferRange, bindingsOf, type Dispatch, type Shader } from './shader.ts';
import { Uniforms } from './uniforms.ts';

/**
 * Dispatches of the first submit after a wait. It is small, so that the device starts while the rest is recorded; each
 * submit is twice as large as the last.
 */
const FIRST_BATCH = 32;
const LARGEST_BATCH = 512;
/**
 * Most bind groups, and most uniform blocks, that are kept. Groups name buffers, so all are dropped when a buffer is
 * destroyed.
 */
const BIND_GROUPS = 16_384;
const BLOCKS = 4096;

/** A bind group, and the storage buffers that it names. */
interface Group {
  readonly group: GPUBindGroup;
  readonly buffers: readonly GPUBuffer[];
}

/** A dispatch with everything looked up, ready to be recorded. */
interface Prepared {
  readonly pipeline: Pipeline;
  readonly group: Group;
  readonly workgroups: readonly [number, number, number];
}

/** A copy or a clear, which ends a compute pass. */
interface Transfer {
  readonly buffers: readonly GPUBuffer[];
  encode(encoder: GPUCommandEncoder): void;
}

/**
 * Prepared dispatches and transfers, which can be recorded any number of times while their buffers live. `forget` frees
 * them.
 */
export interface Plan {
  readonly items: readonly (Prepared | Transfer)[];
  readonly buffers: ReadonlySet<GPUBuffer>;
  readonly uniforms: Uniforms;
}

/**
 * Records dispatches and copies into one command encoder and submits them together. Bind groups, uniforms included,
 * never change, and equal ones are shared, so that a repeated call finds everything it needs.
 */
export class Recorder {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #counters: Counters;
  readonly #profiler: Profiler | undefined;
  readonly #pipelines: Pipelines;
  #uniforms: Uniforms;
  /** By the layout, the uniform block and the range of each binding. */
  readonly #groups = new ListMap<Group>();
  /** Numbers of layouts and buffers, for the keys of groups. */
  readonly #ids = new WeakMap<GPUBindGroupLayout | GPUBuffer, number>();
  /** Buffers that copies of recorded but unsubmitted work use; its bind groups and its plans have theirs. */
  readonly #copied = new Set<GPUBuffer>();
  readonly #bound = new Set<Group>();
  readonly #replayed = new Set<Plan>();
  #forgotten: Plan[] = [];
  #nextId = 0;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  /** The pipeline that the open pass has set. */
  #current: Pipeline | undefined;
  #preparing: Promise<void>[] | undefined;
  #captured: { readonly items: (Prepared | Transfer)[]; readonly uniforms: Uniforms } | undefined;
  #recorded = 0;
  #submitted = 0;
  #batch = FIRST_BATCH;

  constructor(device: GPUDevice, failures: Failures, counters: Counters, profiler: Profiler | undefined) {
    this.#device = device;
    this.#failures = failures;
    this.#counters = counters;
    this.#profiler = profiler;
    this.#pipelines = Pipelines.of(device);
    this.#uniforms = new Uniforms(device, failures);
  }

  dispatch<B extends string, U extends string, O extends string, C extends string, L extends string>(
    shader: Shader<B, U, O, C, L>,
    call: Dispatch<B, U, O, C, L>,
  ): void {
    this.#failures.checkAlive();
    if (this.#preparing !== undefined) {
      this.#preparing.push(this.#pipelines.prepare(shader, call));
      return;
    }
    const pipeline = this.#pipelines.get(shader, call, this.#watchPipeline);
    if (this.#uniforms.size >= BLOCKS) this.#forgetUniforms();
    const [x, y = 1, z = 1] = call.workgroups;
    const prepared: Prepared = {
      pipeline,
      group: this.#group(shader, pipeline.layout, call),
      workgroups: [x, y, z],
    };
    if (this.#captured !== undefined) {
      this.#captured.items.push(prepared);
      return;
    }
    this.#makeRoom();
    this.#bound.add(prepared.group);
    this.#record(prepared);
  }

  /**
   * Compiles the pipelines that `body` dispatches, side by side and off this thread. Nothing is recorded, and buffers
   * are ignored.
   */
  async prepare(body: () => void): Promise<void> {
    const preparing: Promise<void>[] = [];
    this.#preparing = preparing;
    try {
      body();
    } finally {
      this.#preparing = undefined;
    }
    await Promise.all(preparing);
  }

  /** Prepares the dispatches and transfers of `body` without recording them. */
  capture(body: () => void): Plan {
    const items: (Prepared | Transfer)[] = [];
    const uniforms = new Uniforms(this.#device, this.#failures);
    this.#captured = { items, uniforms };
    try {
      body();
      uniforms.write();
    } catch (error) {
      uniforms.dispose();
      throw error;
    } finally {
      this.#captured = undefined;
    }
    const buffers = items.flatMap((item) => ('group' in item ? item.group.buffers : item.buffers));
    return { items, buffers: new Set(buffers), uniforms };
  }

  replay(plan: Plan): void {
    this.#failures.checkAlive();
    for (const item of plan.items) {
      this.#makeRoom();
      this.#replayed.add(plan);
      if ('group' in item) this.#record(item);
      else item.encode(this.#endPass());
    }
  }

  /**
   * Records a plan that is known as a whole, in as few submits as hold it, and submits it at the end unless it is
   * small.
   */
  replayWhole(plan: Plan): void {
    this.#batch = LARGEST_BATCH;
    this.replay(plan);
    if (plan.items.length >= FIRST_BATCH) this.flush();
    else this.#batch = FIRST_BATCH;
  }

  /** Frees a plan, once the work that was recorded from it is submitted. */
  forget(plan: Plan): void {
    if (this.#replayed.has(plan)) this.#forgotten.push(plan);
    else plan.uniforms.dispose();
  }

  copy(source: GPUBuffer, sourceOffset: number, target: GPUBuffer, targetOffset: number, size: number): void {
    this.#transfer([source, target], (encoder) => {
      encoder.copyBufferToBuffer(source, sourceOffset, target, targetOffset, size);
      this.#counters.copies++;
    });
  }

  clear(target: GPUBuffer, offset: number, size: number): void {
    this.#transfer([target], (encoder) => encoder.clearBuffer(target, offset, size));
  }

  #transfer(buffers: readonly GPUBuffer[], encode: (encoder: GPUCommandEncoder) => void): void {
    this.#failures.checkAlive();
    if (this.#preparing !== undefined) return;
    if (this.#captured !== undefined) {
      this.#captured.items.push({ buffers, encode });
      return;
    }
    encode(this.#endPass());
    for (const buffer of buffers) this.#copied.add(buffer);
  }

  /** Writes from the host in the order of the calls: recorded work that uses the buffer is submitted first. */
  write(target: GPUBuffer, offset: number, data: Uint8Array<ArrayBuffer>): void {
    this.#failures.checkAlive();
    if (this.#uses(target)) this.flush();
    this.#device.queue.writeBuffer(target, offset, data);
    this.#counters.bytesUploaded += data.byteLength;
  }

  /** Submits the recorded work. It is called before waiting, so the next submit is small again. */
  flush(): void {
    this.#submit();
    this.#batch = FIRST_BATCH;
  }

  #submit(): void {
    const encoder = this.#encoder;
    if (encoder === undefined) return;
    this.#endPass();
    this.#encoder = undefined;
    const first = this.#submitted;
    this.#submitted += this.#recorded;
    this.#failures.watch(`the submit of dispatches ${first} to ${this.#submitted}`, () => {
      this.#profiler?.resolve(encoder);
      this.#uniforms.write();
      this.#device.queue.submit([encoder.finish()]);
      this.#profiler?.submitted();
    });
    this.#recorded = 0;
    this.#forgetUses();
    for (const { uniforms } of this.#forgotten) uniforms.dispose();
    this.#forgotten = [];
    this.#counters.submits++;
  }

  /** Drops all bind groups. It is called when a buffer is destroyed, since bind groups name buffers. */
  forgetBuffers(): void {
    this.#groups.clear();
  }

  dispose(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#encoder = undefined;
    this.#groups.clear();
    this.#forgetUses();
    for (const { uniforms } of this.#forgotten) uniforms.dispose();
    this.#uniforms.dispose();
  }

  /** Whether recorded but unsubmitted work uses a buffer. Only writes ask, and they are few. */
  #uses(buffer: GPUBuffer): boolean {
    if (this.#copied.has(buffer)) return true;
    for (const { buffers } of this.#bound) if (buffers.includes(buffer)) return true;
    for (const { buffers } of this.#replayed) if (buffers.has(buffer)) return true;
    return false;
  }

  #forgetUses(): void {
    this.#copied.clear();
    this.#bound.clear();
    this.#replayed.clear();
  }

  #makeRoom(): void {
    if (this.#recorded < this.#batch && this.#profiler?.full !== true) return;
    this.#submit();
    this.#batch = Math.min(2 * this.#batch, LARGEST_BATCH);
  }

  #record({ pipeline, group, workgroups: [x, y, z] }: Prepared): void {
    const pass = this.#pass ?? this.#beginPass(pipeline.label);
    if (this.#current !== pipeline) pass.setPipeline(pipeline.pipeline);
    this.#current = pipeline;
    pass.setBindGroup(0, group.group);
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
    this.#pass = this.#begin().beginComputePass(
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

  #group<B extends string, U extends string, C extends string>(
    shader: Shader<B, U, string, C>,
    layout: GPUBindGroupLayout,
    call: Pick<Dispatch<B, U, string, C, string>, 'bindings' | 'constants' | 'uniforms'>,
  ): Group {
    const { stem, uniforms } = shader;
    const bindings = bindingsOf(shader, call.constants);
    const blocks = this.#captured?.uniforms ?? this.#uniforms;
    const block = uniforms.size === 0 ? undefined : blocks.block(uniforms, call.uniforms);
    this.#groups.begin();
    this.#groups.add(this.#id(layout));
    if (block !== undefined) this.#addToKey(block);
    for (const { name } of bindings) this.#addToKey(call.bindings[name]);
    let group = this.#groups.get();
    if (group === undefined) {
      const entries: GPUBindGroupEntry[] = bindings.map(({ name, binding }) => ({
        binding,
        resource: call.bindings[name],
      }));
      if (block !== undefined) entries.push({ binding: 0, resource: block });
      group = {
        group: this.#failures.watch(`the bindings of ${stem}`, () =>
          this.#device.createBindGroup({ label: stem, layout, entries }),
        ),
        buffers: bindings.map(({ name }) => call.bindings[name].buffer),
      };
      this.#counters.bindGroups++;
      // No other bind group has a plan's own uniforms, so the group is not kept.
      if (this.#captured !== undefined) return group;
      if (this.#groups.size >= BIND_GROUPS) this.#groups.clear();
      this.#groups.set(group);
    }
    return group;
  }

  /** Drops all uniform blocks once there are too many, as calls with ever new uniforms make them. */
  #forgetUniforms(): void {
    this.flush();
    this.#groups.clear();
    this.#uniforms.dispose();
    this.#uniforms = new Uniforms(this.#device, this.#failures);
  }

  #addToKey({ buffer, offset, size }: BufferRange): void {
    this.#groups.add(this.#id(buffer));
    this.#groups.add(offset);
    this.#groups.add(size);
  }

  #id(object: GPUBindGroupLayout | GPUBuffer): number {
    let id = this.#ids.get(object);
    if (id === undefined) {
      id = this.#nextId++;
      this.#ids.set(object, id);
    }
    return id;
  }

  readonly #watchPipeline = <R>(label: string, make: () => R): R => {
    this.#counters.pipelinesMade++;
    return this.#failures.watch(label, make);
  };
}
