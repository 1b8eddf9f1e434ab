/**
 * Public API: a language model from a checkpoint; its parts for those who need less.
 * @module
 */
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
  type WarningListener,
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
export { type DeltaMap, type DeltaOptions, Selection } from './blocks/mamba/selection.ts';
export { Batcher, type BatcherOptions } from './generate/batcher.ts';
export type { GeneratedToken } from './generate/decoder/sequence.ts';
export { type FinishReason, generateTokens } from './generate/generate.ts';
export type { GenerateTokensOptions, SpeculativeOptions } from './generate/options.ts';
export type { GeneratedPiece } from './generate/pieces.ts';
export { type PrefillOptions, prefill, prefillRows } from './generate/prefill.ts';
export { PrefixCache, type PrefixCacheOptions } from './generate/prefix-cache.ts';
export type { BatchPiece, GenerateOptions, Prompt } from './generate/request.ts';
export { LanguageModel } from './language-model.ts';
export { type LoadOptions, loadModel } from './load/load-model.ts';
export type { TokenLogProb } from './sampling/log-softmax.ts';
export type { SamplingOptions } from './sampling/options.ts';
export { sampleLogits } from './sampling/sample-logits.ts';
export { type HiddenStateOptions, type HiddenStates, hiddenStates } from './score/hidden-states.ts';
export { type LogProbOptions, logProbs } from './score/log-probs.ts';
export { type Perplexity, type PerplexityOptions, perplexity } from './score/perplexity.ts';
export type { Score } from './score/score.ts';
export {
  type AppendOptions,
  type Mark,
  Session,
  type SessionGenerateOptions,
  type SessionOptions,
} from './session/session.ts';
export { type ChatMessage, type ChatOptions, ChatTemplate } from './tokenizer/chat-template.ts';
export { encodePieces } from './tokenizer/pieces.ts';
export { StopStrings } from './tokenizer/stop-strings.ts';
export type { StreamDecoder } from './tokenizer/stream-decoder.ts';
export {
  type DecodeTextOptions,
  type EncodeChatOptions,
  type EncodeOptions,
  openTokenizer,
  Tokenizer,
} from './tokenizer/tokenizer.ts';
