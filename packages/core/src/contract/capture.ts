/** Computations that are prepared once and run again and again: `Backend.capture`. */
import type { HostTensor, Tensor } from './tensor.ts';

/**
 * A function of tensors whose operations were noted, so that they run again on other values without the function and
 * without the checks of each call. Running them gives the same bits as calling the function.
 */
export interface Capture<R> {
  /** Bytes on the device that it holds until it is disposed: inputs, results, and all that lies between them. */
  readonly bytes: number;
  /** Whether it can be replayed: neither it nor a tensor that its operations read or write was disposed. */
  readonly usable: boolean;
  /**
   * Runs the operations, without waiting for the device.
   * @param inputs The values of each input. Floats are rounded as `upload` rounds them.
   * @returns What the function returned: the same tensors each time, with new values. They belong to the capture, and
   * disposing them does nothing. A `read` that began before the next replay gets the values from before it.
   * @throws MambaError `invalid-argument` where the values are not those of the inputs' specs, `disposed` where it is
   * not usable, and `device-lost`. Nothing runs then.
   */
  replay(inputs: readonly HostTensor[]): R;
  /** Frees its memory, with the inputs and all results. Disposing it again does nothing. */
  dispose(): void;
}

/**
 * Notes the operations that `run` calls, and runs none of them.
 * - Tensors that were there before are read, or written by updates, where they are: each replay meets their present
 *   values. They stay their owner's, and the capture is of no use once one of them is disposed.
 * - What `run` uploads is a constant of the capture. What changes from replay to replay has to be an input.
 * - `run` may not wait for values, nor use fused forms of blocks and models: these throw `unsupported`.
 * @param inputs The specs of the inputs, each in the backend's precision or int32. Values of an int32 input are held to
 * its `range`, which operations check as that of any tensor.
 * @throws MambaError `invalid-argument`, `unsupported`, and what `run` throws. Nothing is left on the device then.
 */
export type CaptureFunction = <R>(inputs: readonly CaptureInput[], run: (inputs: readonly Tensor[]) => R) => Capture<R>;

/** The spec of an input. */
export type CaptureInput = Pick<Tensor, 'shape' | 'dtype' | 'range'>;
