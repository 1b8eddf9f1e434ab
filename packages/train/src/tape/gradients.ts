/** Gradients as they add up, before the call that made their tensor is replayed. */
import type { Backend, Tensor } from '@mamba/core';
import { filled } from './filled.ts';
import type { Gradient, Part } from './rules.ts';

/** Counts the owners of gradients, since one cotangent may be the gradient of several inputs. */
export class Owners {
  readonly #counts = new Map<Tensor, number>();

  /** Whether the tensor is counted. */
  has(tensor: Tensor): boolean {
    return this.#counts.has(tensor);
  }

  /** Adds a tensor that stays the caller's: it is never disposed here. */
  borrow(tensor: Tensor): void {
    this.#counts.set(tensor, Number.POSITIVE_INFINITY);
  }

  /** Adds an owner. A tensor that is seen for the first time belongs to the count from now on. */
  hold(tensor: Tensor): Tensor {
    this.#counts.set(tensor, (this.#counts.get(tensor) ?? 0) + 1);
    return tensor;
  }

  drop(tensor: Tensor): void {
    const count = this.#counts.get(tensor)! - 1;
    if (count > 0) this.#counts.set(tensor, count);
    else {
      this.#counts.delete(tensor);
      tensor.dispose();
    }
  }

  /** Takes one owner's share out: the tensor itself where that was the only one, and otherwise a copy. */
  take(backend: Backend, tensor: Tensor): Tensor {
    if (this.#counts.get(tensor)! > 1) {
      const copy = backend.slice(tensor, 0, 0, tensor.shape[0]!);
      this.drop(tensor);
      return copy;
    }
    this.#counts.delete(tensor);
    return tensor;
  }

  dispose(): void {
    for (const [tensor, count] of this.#counts) if (count !== Number.POSITIVE_INFINITY) tensor.dispose();
    this.#counts.clear();
  }
}

/** The gradient of one tensor: a sum of whole gradients, and parts that were not put together yet. */
export class Sum {
  readonly #backend: Backend;
  readonly #owners: Owners;
  #whole: Tensor | undefined;
  #parts: Part[] = [];

  constructor(backend: Backend, owners: Owners) {
    this.#backend = backend;
    this.#owners = owners;
  }

  /** Adds a gradient, of which this sum becomes an owner. */
  add(gradient: Gradient): void {
    if ('gradient' in gradient) {
      this.#owners.hold(gradient.gradient);
      this.#parts.push(gradient);
      return;
    }
    this.#owners.hold(gradient);
    if (this.#whole === undefined) {
      this.#whole = gradient;
      return;
    }
    const before = this.#whole;
    this.#whole = this.#owners.hold(this.#backend.add(before, gradient));
    this.#owners.drop(before);
    this.#owners.drop(gradient);
  }

  /** The whole gradient of a tensor of this shape, which this sum still owns. */
  total(like: Pick<Tensor, 'shape'>): Tensor {
    const parts = this.#parts;
    this.#parts = [];
    for (const group of disjoint(parts)) {
      const joined = join(this.#backend, group, like);
      for (const part of group) this.#owners.drop(part.gradient);
      this.add(joined);
    }
    return this.#whole!;
  }

  drop(): void {
    for (const part of this.#parts) this.#owners.drop(part.gradient);
    if (this.#whole !== undefined) this.#owners.drop(this.#whole);
    this.#parts = [];
    this.#whole = undefined;
  }
}

/** Parts in groups that can be joined: of one axis, in order, and without an overlap. */
function disjoint(parts: readonly Part[]): Part[][] {
  const groups: Part[][] = [];
  for (const part of parts.toSorted((a, b) => a.axis - b.axis || a.start - b.start)) {
    const group = groups.find((others) => {
      const last = others.at(-1)!;
      return last.axis === part.axis && last.end <= part.start;
    });
    if (group === undefined) groups.push([part]);
    else group.push(part);
  }
  return groups;
}

/** Joins parts to a tensor of a shape, with zeros between them. */
function join(backend: Backend, parts: readonly Part[], like: Pick<Tensor, 'shape'>): Tensor {
  const { axis } = parts[0]!;
  const fillers: Tensor[] = [];
  const fill = (extent: number): Tensor[] => {
    if (extent === 0) return [];
    fillers.push(filled(backend, like.shape.with(axis, extent), 0));
    return fillers.slice(-1);
  };
  try {
    let end = 0;
    const pieces: Tensor[] = [];
    for (const part of parts) {
      pieces.push(...fill(part.start - end), part.gradient);
      end = part.end;
    }
    pieces.push(...fill(like.shape[axis]! - end));
    return backend.concat(pieces, axis);
  } finally {
    for (const filler of fillers) filler.dispose();
  }
}
