import { ListMap } from './list-map.ts';
import { bindingsOf, labelOf, type Shader, type Specialisation, textOf } from './shader.ts';

export interface Pipeline {
  readonly label: string;
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const caches = new WeakMap<GPUDevice, Pipelines>();

/** Stands in a key for an override or a constant that keeps its default. */
const DEFAULT = Number.POSITIVE_INFINITY;

/** Compiled shaders of one device, shared by every backend on it. */
export class Pipelines {
  readonly #device: GPUDevice;
  /** By the module's text, which names the shader and its link, and then by the values of a specialisation. */
  readonly #pipelines = new Map<string, ListMap<Pipeline>>();
  readonly #pending = new Map<string, Promise<void>>();
  readonly #modules = new Map<string, GPUShaderModule>();
  readonly #layouts = new Map<string, { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();

  static of(device: GPUDevice): Pipelines {
    const known = caches.get(device);
    if (known !== undefined) return known;
    const pipelines = new Pipelines(device);
    caches.set(device, pipelines);
    return pipelines;
  }

  private constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Returns a compiled pipeline. `watch` wraps the calls that may fail to validate. */
  get<O extends string, C extends string, L extends string>(
    shader: Shader<string, string, O, C, L>,
    specialisation: Specialisation<O, C, L>,
    watch: <R>(label: string, make: () => R) => R,
  ): Pipeline {
    const pipelines = this.#keyed(shader, specialisation);
    const known = pipelines.get();
    if (known !== undefined) return known;
    const label = labelOf(shader, specialisation);
    const made = watch(label, () => this.#make(label, shader, specialisation));
    pipelines.set(made);
    return made;
  }

  /** Compiles without waiting. A failure is ignored here: `get` meets it again inside error scopes. */
  prepare<O extends string, C extends string, L extends string>(
    shader: Shader<string, string, O, C, L>,
    specialisation: Specialisation<O, C, L>,
  ): Promise<void> {
    if (this.#keyed(shader, specialisation).get() !== undefined) return Promise.resolve();
    const label = labelOf(shader, specialisation);
    let pending = this.#pending.get(label);
    if (pending === undefined) {
      const { group: layout } = this.#layout(shader, specialisation.constants);
      const made = this.#device.createComputePipelineAsync(this.#descriptor(label, shader, specialisation));
      pending = made
        .then((pipeline) => {
          const pipelines = this.#keyed(shader, specialisation);
          if (pipelines.get() === undefined) pipelines.set({ label, pipeline, layout });
        })
        .catch(() => {})
        .finally(() => this.#pending.delete(label));
      this.#pending.set(label, pending);
    }
    return pending;
  }

  /** The pipelines of a module, with the specialisation as the key. */
  #keyed<O extends string, C extends string, L extends string>(
    shader: Shader<string, string, O, C, L>,
    { overrides, constants, link }: Specialisation<O, C, L>,
  ): ListMap<Pipeline> {
    const text = shader.links[link ?? ('default' as L)];
    let pipelines = this.#pipelines.get(text);
    if (pipelines === undefined) {
      pipelines = new ListMap();
      this.#pipelines.set(text, pipelines);
    }
    pipelines.begin();
    for (const name of shader.constants) pipelines.add(constants?.[name] ?? DEFAULT);
    for (const name of shader.overrides) pipelines.add(Number(overrides?.[name] ?? DEFAULT));
    return pipelines;
  }

  #make<O extends string, C extends string, L extends string>(
    label: string,
    shader: Shader<string, string, O, C, L>,
    specialisation: Specialisation<O, C, L>,
  ): Pipeline {
    const pipeline = this.#device.createComputePipeline(this.#descriptor(label, shader, specialisation));
    return { label, pipeline, layout: this.#layout(shader, specialisation.constants).group };
  }

  #descriptor<O extends string, C extends string, L extends string>(
    label: string,
    shader: Shader<string, string, O, C, L>,
    specialisation: Specialisation<O, C, L>,
  ): GPUComputePipelineDescriptor {
    const constants: Record<string, number> = {};
    for (const [name, value] of Object.entries<number | boolean | undefined>(specialisation.overrides ?? {}))
      constants[name] = Number(value);
    return {
      label,
      layout: this.#layout(shader, specialisation.constants).pipeline,
      compute: { module: this.#module(shader, specialisation), entryPoint: 'main', constants },
    };
  }

  #module<C extends string, L extends string>(
    shader: Shader<string, string, string, C, L>,
    { constants, link }: Specialisation<string, C, L>,
  ): GPUShaderModule {
    const label = labelOf(shader, { constants, link });
    let module = this.#modules.get(label);
    if (module === undefined) {
      module = this.#device.createShaderModule({ label, code: textOf(shader, { constants, link }) });
      this.#modules.set(label, module);
    }
    return module;
  }

  #layout<C extends string>(
    shader: Shader<string, string, string, C>,
    constants: Specialisation<string, C, string>['constants'],
  ): { group: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    const { uniforms } = shader;
    const bindings = bindingsOf(shader, constants);
    const stem = [shader.stem, ...bindings.slice(shader.bindings.length).map(({ name }) => `with ${name}`)].join(' ');
    let layout = this.#layouts.get(stem);
    if (layout === undefined) {
      const entries: GPUBindGroupLayoutEntry[] = bindings.map(({ binding, writable }) => ({
        binding,
        visibility: COMPUTE,
        buffer: { type: writable ? 'storage' : 'read-only-storage' },
      }));
      if (uniforms.size > 0) {
        const buffer: GPUBufferBindingLayout = {
          type: 'uniform',
          minBindingSize: uniforms.size,
        };
        entries.push({ binding: 0, visibility: COMPUTE, buffer });
      }
      const group = this.#device.createBindGroupLayout({ label: stem, entries });
      layout = { group, pipeline: this.#device.createPipelineLayout({ label: stem, bindGroupLayouts: [group] }) };
      this.#layouts.set(stem, layout);
    }
    return layout;
  }
}

/** GPUShaderStage.COMPUTE by value: Node lacks the global, and a library must not define it. */
const COMPUTE = 4;
