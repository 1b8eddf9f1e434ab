import type { LanguageModel } from '../language-model.ts';
import { badRequest } from './errors.ts';
import type { EncodedPrompt } from './prompts.ts';
import type { EmbeddingRequest } from './schema.ts';

/** @throws ApiError 400 for `dimensions` other than the model's. */
export function checkEmbeddings({ dimensions }: EmbeddingRequest, lm: LanguageModel): void {
  const { dModel } = lm.config;
  if (typeof dimensions === 'number' && dimensions !== dModel)
    throw badRequest(`dimensions: the embeddings of this model have ${dModel}`, 'dimensions');
}

/** Embeds each input as the last hidden state of its last token, normalized to length 1 as OpenAI's embeddings are. */
export async function embed(
  lm: LanguageModel,
  inputs: readonly EncodedPrompt[],
  { model, base64, signal }: { readonly model: string; readonly base64: boolean; readonly signal: AbortSignal },
): Promise<object> {
  const data: object[] = [];
  for (const [index, { ids }] of inputs.entries()) {
    const { values } = await lm.hiddenStates(ids, { signal });
    const vector = unit(values[0]!);
    data.push({ object: 'embedding', index, embedding: base64 ? encode(vector) : Array.from(vector) });
  }
  const tokens = inputs.reduce((sum, { ids }) => sum + ids.length, 0);
  return { object: 'list', data, model, usage: { prompt_tokens: tokens, total_tokens: tokens } };
}

function unit(vector: Float32Array | Float64Array): Float32Array {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length > 0 ? value / length : 0));
}

/** Base64 of little-endian 32-bit floats. */
function encode(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.byteLength);
  for (const [index, value] of vector.entries()) bytes.writeFloatLE(value, index * Float32Array.BYTES_PER_ELEMENT);
  return bytes.toString('base64');
}
