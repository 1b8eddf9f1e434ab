/**
 * The memory of attention by its formulas. The seed's example is BERT-base at 512 tokens × 32 sequences: 440 MB of
 * weights, 403 MB and 151 MB, 0.93 GiB together. These come about as 110 million weights, the scores of one layer,
 * `batch · heads · length²`, and its queries, keys and values, `3 · batch · length · dModel`, all in float32: what a
 * forward pass holds while it computes one layer.
 */
export interface AttentionShape {
  readonly parameters: number;
  readonly layers: number;
  readonly heads: number;
  readonly dModel: number;
  readonly length: number;
  readonly batch: number;
  readonly bytesPerValue: number;
}

export const BERT_BASE: AttentionShape = {
  parameters: 110e6,
  layers: 12,
  heads: 12,
  dModel: 768,
  length: 512,
  batch: 32,
  bytesPerValue: 4,
};

/** Bytes. */
export interface AttentionMemory {
  readonly weights: number;
  /** The scores of one layer, where they are in memory as a matrix. */
  readonly scores: number;
  /** What takes their place in FlashAttention: the logarithm of each row's sum. */
  readonly flashScores: number;
  /** Queries, keys and values of one layer. */
  readonly queriesKeysValues: number;
  /** The keys and values of all layers, which decoding keeps. */
  readonly cache: number;
  /** Weights, scores, queries, keys and values: a forward pass, one layer at a time. */
  readonly forward: number;
  /** The same with FlashAttention. */
  readonly flashForward: number;
  /**
   * Training by AdamW: weights, gradients and two moments, and of every layer the scores, queries, keys and values,
   * which the backward pass reads. The feed-forward layers' activations come on top.
   */
  readonly training: number;
  readonly flashTraining: number;
}

export function attentionMemory(shape: AttentionShape): AttentionMemory {
  const { parameters, layers, heads, dModel, length, batch, bytesPerValue } = shape;
  const weights = parameters * bytesPerValue;
  const scores = batch * heads * length ** 2 * bytesPerValue;
  const flashScores = batch * heads * length * bytesPerValue;
  const queriesKeysValues = 3 * batch * length * dModel * bytesPerValue;
  return {
    weights,
    scores,
    flashScores,
    queriesKeysValues,
    cache: 2 * layers * batch * length * dModel * bytesPerValue,
    forward: weights + scores + queriesKeysValues,
    flashForward: weights + flashScores + queriesKeysValues,
    training: 4 * weights + layers * (scores + queriesKeysValues),
    flashTraining: 4 * weights + layers * (flashScores + queriesKeysValues),
  };
}
