import type { Shape } from '../contract/tensor.ts';
import type { BlockConfig, BlockWeights } from './contract.ts';

export interface BlockParameter {
  readonly key: keyof BlockWeights<unknown>;
  readonly shape: Shape;
  readonly role: 'matrix' | 'vector';
  readonly optional: boolean;
}

/** Every parameter a block may have, with its shape; the one place where shapes follow from a config. */
export function blockParameters({ dModel, dInner, dState, dConv, dtRank }: BlockConfig): readonly BlockParameter[] {
  const matrix = (key: BlockParameter['key'], ...shape: number[]): BlockParameter => ({
    key,
    shape,
    role: 'matrix',
    optional: false,
  });
  const vector = (key: BlockParameter['key'], ...shape: number[]): BlockParameter => ({
    key,
    shape,
    role: 'vector',
    optional: false,
  });
  const optional = (key: BlockParameter['key'], ...shape: number[]): BlockParameter => ({
    key,
    shape,
    role: 'vector',
    optional: true,
  });
  return [
    matrix('inProj', 2 * dInner, dModel),
    optional('inProjBias', 2 * dInner),
    vector('conv', dInner, dConv),
    optional('convBias', dInner),
    matrix('xProj', dtRank + 2 * dState, dInner),
    matrix('dtProj', dInner, dtRank),
    vector('dtBias', dInner),
    vector('A', dInner, dState),
    vector('D', dInner),
    matrix('outProj', dModel, dInner),
    optional('outProjBias', dModel),
  ];
}
