/** Public API: a language model from a checkpoint; its parts for those who need less. */
export {
  type ByteSource,
  blobSource,
  bytesSource,
  type Checkpoint,
  type CheckpointLocation,
  type CheckpointStore,
  openCheckpoint,
  openFile,
  openUrl,
  type SpecialTokens,
} from '@mamba/checkpoint';
export {
  type Backend,
  type BackendProvider,
  isMambaError,
  MambaError,
  type Model,
  type ModelConfig,
  type ModelState,
  selectBackend,
} from '@mamba/core';
export {
  type FinishReason,
  type GenerateIdsOptions,
  generateIds,
  prefill,
  type SamplingOptions,
} from './generate/generate.ts';
export {
  type GeneratedPiece,
  type GenerateOptions,
  LanguageModel,
  type LoadOptions,
  loadModel,
  type Prompt,
  type Score,
} from './language-model.ts';
export { type LogProbOptions, logProbs } from './score/log-probs.ts';
export { type Perplexity, type PerplexityOptions, perplexity } from './score/perplexity.ts';
export { encodePieces } from './tokenizer/pieces.ts';
export type { StreamDecoder } from './tokenizer/stream-decoder.ts';
export { type DecodeTextOptions, type EncodeOptions, openTokenizer, Tokenizer } from './tokenizer/tokenizer.ts';
