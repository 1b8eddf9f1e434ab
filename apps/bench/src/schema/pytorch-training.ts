/** The schema of what peers/pytorch_training.py writes: steps of training in PyTorch. */
import { z } from 'zod';
import { checkFile } from './report.ts';

const rowSchema = z.object({
  /** `train.mamba-130m`, or `train.mamba-130m.cudagraph`. */
  name: z.string().startsWith('train.'),
  shape: z.object({ batch: z.number().int().positive(), length: z.number().int().positive() }),
  dtype: z.string(),
  tokensPerSecond: z.number().positive(),
  /** Bytes of memory at most, where a GPU was measured. */
  peakBytes: z.number().positive().optional(),
});

const fileSchema = z.object({
  /** The version of PyTorch, where it was kept. */
  torch: z.string().optional(),
  device: z.string(),
  /** Whose kernels the scan has. */
  scan: z.string(),
  rows: z.array(rowSchema),
});

export type PyTorchTraining = z.infer<typeof fileSchema>;

/** Whether a text is one of these files, as far as it can be told before it is read. */
export function isPyTorchTraining(text: string): boolean {
  return /"scan":\s*"/.test(text) && /"name":\s*"train\./.test(text);
}

/** @throws MambaError `invalid-file` with the field that is wrong. */
export function parsePyTorchTraining(text: string, origin: string): PyTorchTraining {
  return checkFile(fileSchema, JSON.parse(text), origin);
}
