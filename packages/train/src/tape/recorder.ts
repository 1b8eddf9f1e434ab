/** A backend that passes every call on and tells of it. */
import type {
  Backend,
  HostRows,
  HostTensor,
  OperationName,
  Tensor,
  UploadOptions,
  UploadRowsOptions,
} from '@mamba/core';
import { OPERATIONS } from '@mamba/core/driver';
import { RecordedTensor, Value } from './value.ts';

/**
 * Runs an operation on the wrapped backend.
 * @param args The arguments as they were given.
 * @param inner The arguments with the tensors of the wrapped backend.
 * @returns The results that the caller gets; undefined for an update.
 */
export type Run = (
  operation: OperationName,
  args: readonly unknown[],
  inner: readonly unknown[],
) => OperationResult | undefined;

/** One tensor, or tensors by name. */
export type OperationResult = Tensor | Readonly<Record<string, Tensor>>;

/** Calls an operation of a backend by its name. */
export function callOperation(
  backend: Backend,
  operation: OperationName,
  args: readonly unknown[],
): OperationResult | undefined {
  const call = backend[operation] as (...args: readonly unknown[]) => OperationResult | undefined;
  return call.apply(backend, args as unknown[]);
}

/** Wraps a backend. Everything but the operations and uploads is the wrapped backend's. */
export function recordingBackend(inner: Backend, run: Run): Backend {
  const wrapped = (tensor: Tensor): Tensor => new RecordedTensor(new Value(tensor, false, true));
  const operations = Object.fromEntries(
    OPERATIONS.map((operation) => [operation, (...args: readonly unknown[]) => run(operation, args, args.map(unwrap))]),
  ) as unknown as Pick<Backend, OperationName>;
  return {
    ...operations,
    name: inner.name,
    description: inner.description,
    details: inner.details,
    precision: inner.precision,
    get disposed() {
      return inner.disposed;
    },
    upload: (host: HostTensor, options?: UploadOptions) => wrapped(inner.upload(host, options)),
    uploadRows: async (host: HostRows, options?: UploadRowsOptions) => wrapped(await inner.uploadRows(host, options)),
    read: (tensor) => inner.read(innerTensor(tensor)),
    synchronize: () => inner.synchronize(),
    supports: (operation, ...args) => inner.supports(operation, ...(args.map(unwrap) as unknown as typeof args)),
    supportsUpload: (spec, options) => inner.supportsUpload(spec, options),
    memory: () => inner.memory(),
    peakBytes: (body) => inner.peakBytes(body),
    dispose: () => inner.dispose(),
  };
}

/** The tensor of the wrapped backend. */
export function innerTensor(tensor: Tensor): Tensor {
  return tensor instanceof RecordedTensor ? tensor.inner : tensor;
}

export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'shape' in value && 'dtype' in value;
}

/** The tensors among the arguments of an operation. */
export function tensorsOf(argument: unknown): readonly Tensor[] {
  if (typeof argument !== 'object' || argument === null) return [];
  return isTensor(argument) ? [argument] : Object.values(argument).flatMap(tensorsOf);
}

/** An argument of an operation: a tensor, a list of tensors, an object of options with tensors, or a plain value. */
function unwrap(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null) return argument;
  if (isTensor(argument)) return innerTensor(argument);
  if (Array.isArray(argument)) return argument.map(unwrap);
  return Object.fromEntries(Object.entries(argument).map(([name, value]) => [name, unwrap(value)]));
}
