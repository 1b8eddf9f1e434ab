/**
 * Public API of `@mamba/lm/worker`: language models in a worker, so that a page never blocks.
 * @module
 */
export {
  connectLanguageModels,
  WorkerConnection,
  WorkerLanguageModel,
  WorkerSelection,
  WorkerSession,
} from './connect.ts';
export { type ModelInfo, PROTOCOL_VERSION, type SessionInfo, type WorkerPort } from './protocol.ts';
export { serveLanguageModels } from './serve.ts';
