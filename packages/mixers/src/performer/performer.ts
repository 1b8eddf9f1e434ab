import type { Backend, Tensor } from '@mamba/core';
import { type Scope, scoped } from '@mamba/core/toolkit';
import { type NormalisedOptions, normalisedScan } from '../linear-attention/normalised-scan.ts';
import { filled } from '../shared/tensors.ts';

/**
 * Performer's attention (arXiv 2009.14794), which approximates softmax by positive random features:
 *
 *     φ(x) = exp(w x' - |x'|²/2) / √m        x' = x headDim^-1/4, w the m rows of the projection
 *
 * and is linear attention with them. There is no stabiliser, which would differ from token to token: exponents have to
 * stay below 88, which they do for inputs of norms. The caller disposes the results.
 * @param q `[batch, length, heads, headDim]`, as k and v; the channels of v may differ.
 * @param projection `[m, headDim]`
 * @returns y in the shape of v, and the state `[batch, heads, headDim of v + 1, m]`, the normaliser's last.
 */
export function performer(
  backend: Backend,
  q: Tensor,
  k: Tensor,
  v: Tensor,
  projection: Tensor,
  options: NormalisedOptions = {},
): { readonly y: Tensor; readonly lastState: Tensor } {
  return scoped((scope) => {
    const features = (x: Tensor): Tensor => positiveFeatures(backend, scope, x, projection);
    return normalisedScan(backend, { q: features(q), k: features(k), v }, options);
  });
}

/** φ(x): `[…, headDim]` → `[…, m]` */
function positiveFeatures(backend: Backend, scope: Scope, x: Tensor, projection: Tensor): Tensor {
  const [features, headDim] = projection.shape as [number, number];
  const scaled = scope.own(backend.multiply(x, undefined, { scale: headDim ** -0.25 }));
  const dots = scope.own(backend.linear(scaled, projection));
  const squares = scope.own(backend.multiply(scaled, scaled, { scale: -0.5 }));
  // A product with ones adds up the squares, once for each feature.
  const norms = scope.own(backend.linear(squares, filled(backend, scope, [features, headDim], 1)));
  const exponents = scope.own(backend.add(dots, norms));
  return scope.own(backend.multiply(exponents, undefined, { activation: 'exp', scale: features ** -0.5 }));
}
