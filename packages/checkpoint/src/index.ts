/**
 * The public API: whole checkpoints, and the readers and writers of their files.
 * @module
 */
export {
  createFile,
  createFolder,
  isAbandoned,
  openFile,
  ownerStamp,
  removeAbandoned,
  temporaryPath,
} from '#files';
export { type Checkpoint, type OpenOptions, openCheckpoint } from './checkpoint.ts';
export { type ParsedModel, parseConfig, parseModel } from './config/config.ts';
export { parseSpecialTokens, type SpecialTokenFile, type SpecialTokens } from './config/special-tokens.ts';
export { reasonOf } from './errors.ts';
export type { StoredPart } from './families/family.ts';
export { familyAliases } from './families/list.ts';
export { type GgufFile, openGguf } from './gguf/file.ts';
export type { GgufValue } from './gguf/metadata.ts';
export { ggufConfig, ggufParameterSource, ggufSpecialTokens } from './gguf/model.ts';
export { ggufParts, openGgufParts } from './gguf/parts.ts';
export { WRITABLE as GGUF_WRITABLE_TYPES, type WritableType as GgufWritableType } from './gguf/quantize.ts';
export { ggufTokenizer } from './gguf/tokenizer.ts';
export type { GgufType } from './gguf/types.ts';
export { type WriteGgufOptions, type WriteProgress, type WrittenGguf, writeGguf } from './gguf/write.ts';
export { type ByteSink, type FolderSink, memorySink, type SinkOptions } from './io/byte-sink.ts';
export { type ByteSource, blobSource, bytesSource } from './io/byte-source.ts';
export {
  Refused,
  type RequestInput,
  type RequestOptions,
  type Route,
  refusalOf,
  request,
  statusOf,
  unreachable,
} from './io/request.ts';
export { type RetryOptions, retry, Transient, type Wait, wait } from './io/retry.ts';
export { type CheckpointLocation, type CheckpointStore, checkpointStore, readJson } from './io/store.ts';
export { openUrl, type UrlOptions } from './io/url.ts';
export { parameterSource } from './parameters.ts';
export { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors/file.ts';
export { openSharded } from './safetensors/sharded.ts';
export { type RawTensor, writeSafetensors } from './safetensors/write.ts';
export {
  modelConfigJson,
  SAFETENSORS_WRITABLE_TYPES,
  type SafetensorsWritableType,
  type WriteModelOptions,
  writeSafetensorsModel,
} from './safetensors/write-model.ts';
export { partOf } from './stored/read.ts';
export { transformersName } from './tensor-names.ts';
export { readTokenizerFiles, type TokenizerFiles } from './tokenizer/files.ts';
export { type WarningListener, warnOnConsole } from './warnings.ts';
