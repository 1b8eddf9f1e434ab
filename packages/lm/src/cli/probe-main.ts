/** The process that `probeWebGpu` starts. */
import { toPlainError } from '../worker/protocol.ts';
import { createBackend } from './backends.ts';
import type { ProbeResult } from './probe.ts';

let result: ProbeResult = { error: undefined };
try {
  const backend = await createBackend('webgpu');
  await backend.dispose();
} catch (error) {
  result = { error: toPlainError(error) };
}
process.send!(result, () => process.disconnect());
