import type { Backend } from '../src/contract/backend.ts';
import { sizeOf } from '../src/contract/tensor.ts';
import { modelConfig } from '../src/model/config.ts';
import { createModel } from '../src/model/create-model.ts';
import type { Model } from '../src/model/model.ts';

export const tinyConfig = modelConfig({ layers: 2, dModel: 4, vocabSize: 10 }, { dState: 2, dConv: 3, dtRank: 1 });

export function tinyModel(backend: Backend): Promise<Model> {
  return createModel(backend, tinyConfig, ({ shape }) => ({
    dtype: 'float32',
    shape,
    data: new Float32Array(sizeOf(shape)),
  }));
}
