import { type FolderSink, transformersName } from '@mamba/checkpoint';
import { type HostArray, invalid } from '@mamba/core';
import type { TrainableModel } from '../model/trainable.ts';
import { type LazyTensor, writeTensors } from '../save/tensors.ts';
import { writeText } from '../save/write.ts';

/**
 * Saves the adapters of a model alone, in the layout of Hugging Face's peft.
 * @param base The name or path of the model that they adapt, as peft is to load it.
 * @throws MambaError `invalid-argument` for a model without adapters, `io`, and any error of the backend. The folder is
 * given up then.
 */
export async function saveAdapter(folder: FolderSink, model: TrainableModel, base: string): Promise<void> {
  try {
    const { lora, adapters, config } = model;
    if (lora === undefined) throw invalid('saveAdapter.model', 'a model without adapters', 'one that has some');
    const modules = [...adapters.keys()].map((name) => {
      const stored = transformersName(model.parameter(name), config);
      return stored.replace(/\.weight$/, '');
    });
    const { rank, alpha = 2 * rank } = lora;
    const description = {
      ...{ peft_type: 'LORA', task_type: 'CAUSAL_LM', base_model_name_or_path: base, inference_mode: true },
      ...{ r: rank, lora_alpha: alpha, lora_dropout: 0, bias: 'none', fan_in_fan_out: false, target_modules: modules },
    };
    await writeText(folder, 'adapter_config.json', `${JSON.stringify(description, null, 2)}\n`);
    const sink = await folder.createFile('adapter_model.safetensors');
    try {
      await writeTensors(sink, tensorsOf(model, modules));
      await sink.close();
    } catch (error) {
      await sink.abort();
      throw error;
    }
    await folder.close();
  } catch (error) {
    await folder.abort();
    throw error;
  }
}

function tensorsOf({ backend, adapters }: TrainableModel, modules: readonly string[]): readonly LazyTensor[] {
  return [...adapters.values()].flatMap(({ a, b }, index): LazyTensor[] => {
    const [inputs, rank] = a.shape as [number, number];
    const name = `base_model.model.${modules[index]}`;
    return [
      {
        ...{ name: `${name}.lora_A.weight`, shape: [rank, inputs], dtype: 'float32' },
        read: async () => transposed(await backend.read(a.tensor), inputs, rank),
      },
      {
        ...{ name: `${name}.lora_B.weight`, shape: b.shape, dtype: 'float32' },
        read: async () => Float32Array.from(await backend.read(b.tensor)),
      },
    ];
  });
}

function transposed(values: HostArray, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: rows * columns }, (_, index) => {
    const [column, row] = [Math.floor(index / rows), index % rows];
    return values[row * columns + column]!;
  });
}
