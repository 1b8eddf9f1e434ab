/**
 * The subpath `@mamba/lm/hub`: checkpoints of the Hugging Face hub, or of a server with its layout.
 * @module
 */
export { type DownloadProgress, type HubOptions, hub } from './hub.ts';
