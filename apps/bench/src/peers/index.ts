import type { Peer } from './contract.ts';
import { llamaCpp } from './llama-cpp.ts';
import { onnxRuntime } from './onnxruntime.ts';
import { onnxRuntimeWeb } from './onnxruntime-web.ts';
import { wllama } from './wllama.ts';

export const PEERS: readonly Peer[] = [llamaCpp, wllama, onnxRuntime, onnxRuntimeWeb];
