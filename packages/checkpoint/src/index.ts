/** Public API: checkpoints whole, and the parts that they are made of. */
export { openFile } from '#files';
export { type Checkpoint, openCheckpoint } from './checkpoint.ts';
export { parseConfig, parseSpecialTokens, type SpecialTokens } from './config/config.ts';
export { type ByteSource, blobSource, bytesSource } from './io/byte-source.ts';
export { type CheckpointLocation, type CheckpointStore, checkpointStore, readJson } from './io/store.ts';
export { openUrl, type UrlOptions } from './io/url.ts';
export { parameterSource } from './parameters.ts';
export { openSafetensors, type SafetensorsFile, type TensorInfo } from './safetensors/file.ts';
export { openSharded } from './safetensors/sharded.ts';
export { type RawTensor, writeSafetensors } from './safetensors/write.ts';
