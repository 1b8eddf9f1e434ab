/** Captures of a backend: which tensors they use, and the checks before each replay. */
import type { Capture, CaptureInput } from '../contract/capture.ts';
import { invalid, MambaError } from '../contract/errors.ts';
import { type HostTensor, type Precision, sameShape, type TensorSpec } from '../contract/tensor.ts';
import { checkDType, checkShape, describe } from '../operations/check.ts';
import type { CapturedKernels } from './driver.ts';
import type { TensorHandle } from './handle.ts';
import { checkHost, isSpec, rangeOf } from './host.ts';

/** The tensors of a capture, as they are met while its function runs. */
export class CaptureTensors<S> {
  /** The live tensors that were made since it began, inputs included. */
  readonly made = new Set<TensorHandle<S>>();
  /** The tensors from before that its operations read or write. */
  readonly used = new Set<TensorHandle<S>>();

  use(tensor: TensorHandle<S>): void {
    if (!this.made.has(tensor)) this.used.add(tensor);
  }

  keep(): void {
    for (const tensor of this.made) tensor.keep();
  }

  letGo(): void {
    for (const tensor of this.made) tensor.letGo();
    this.made.clear();
  }
}

/** The capture that users hold. */
export class CheckedCapture<S, R> implements Capture<R> {
  readonly #inputs: readonly TensorSpec[];
  readonly #kernels: CapturedKernels;
  readonly #tensors: CaptureTensors<S>;
  readonly #result: R;
  readonly #owner: CaptureOwner;
  #disposed = false;

  constructor(
    owner: CaptureOwner,
    parts: {
      readonly inputs: readonly TensorSpec[];
      readonly kernels: CapturedKernels;
      readonly tensors: CaptureTensors<S>;
      readonly result: R;
    },
  ) {
    this.#owner = owner;
    this.#inputs = parts.inputs;
    this.#kernels = parts.kernels;
    this.#tensors = parts.tensors;
    this.#result = parts.result;
  }

  get bytes(): number {
    return this.#disposed ? 0 : this.#kernels.bytes;
  }

  get usable(): boolean {
    return !this.#disposed && this.#lost() === undefined;
  }

  replay(inputs: readonly HostTensor[]): R {
    this.#owner.checkReplay();
    const lost = this.#lost();
    if (this.#disposed || lost !== undefined)
      throw new MambaError('disposed', `a capture cannot be replayed`, {
        origin: 'capture.replay',
        given: lost === undefined ? 'a capture after dispose()' : `a capture of a disposed tensor, ${describe(lost)}`,
        expected: 'a live capture whose tensors are alive',
        remedy: 'Capture the function again.',
      });
    this.#check(inputs);
    this.#kernels.replay(inputs);
    return this.#result;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#owner.forget(this);
    this.#tensors.letGo();
    this.#tensors.used.clear();
    this.#kernels.dispose();
  }

  /** A tensor that its operations use and that was disposed. */
  #lost(): TensorHandle<S> | undefined {
    for (const tensor of this.#tensors.used) if (tensor.disposed) return tensor;
    return undefined;
  }

  #check(values: readonly HostTensor[]): void {
    if (!Array.isArray(values) || values.length !== this.#inputs.length)
      throw invalid(
        'capture.replay',
        Array.isArray(values) ? `${values.length} inputs` : String(values),
        `${this.#inputs.length}, as were captured`,
      );
    for (const [index, spec] of this.#inputs.entries()) {
      const origin = `capture.replay[${index}]`;
      const host: HostTensor = values[index];
      checkHost(origin, host);
      if (!sameShape(host.shape, spec.shape) || (host.dtype === 'int32') !== (spec.dtype === 'int32'))
        throw invalid(origin, describe(host), describe(spec), 'Capture the function again for other shapes.');
      if (host.dtype !== 'int32' || spec.range === undefined) continue;
      const { min, max } = rangeOf(host.data);
      if (min < spec.range.min || max > spec.range.max)
        throw invalid(
          origin,
          `values from ${min} to ${max}`,
          `${spec.range.min} to ${spec.range.max}, as were captured`,
        );
    }
  }
}

/** The backend of a capture. */
export interface CaptureOwner {
  /** @throws MambaError where nothing can be replayed now. */
  checkReplay(): void;
  forget(capture: { dispose(): void }): void;
}

/** Checks the specs of inputs, and returns copies that nobody changes. @throws MambaError `invalid-argument` */
export function checkInputs(inputs: readonly CaptureInput[], precision: Precision): readonly TensorSpec[] {
  if (!Array.isArray(inputs)) throw invalid('capture.inputs', String(inputs), 'a list of specs');
  return inputs.map((spec: CaptureInput, index) => {
    const origin = `capture.inputs[${index}]`;
    if (!isSpec(spec)) throw invalid(origin, String(spec), '{ dtype, shape }');
    checkShape(origin, spec.shape);
    checkDType(origin, spec, precision, 'int32');
    const { shape, dtype, range } = spec;
    return { shape: [...shape], dtype, range: dtype === 'int32' ? range : undefined };
  });
}
