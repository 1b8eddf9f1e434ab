/** Counts of a backend's requests to its device; see `countersOf`. */
export interface Counters {
  dispatches: number;
  submits: number;
  /** Waits for values to come back to the host. */
  readbacks: number;
  /** Copies from buffer to buffer, those of readbacks included. */
  copies: number;
  bindGroups: number;
  /** Pipelines that a call had to wait for. `createModel` compiles those of a model ahead. */
  pipelinesMade: number;
  /** Bytes of tensors written from the host; uniforms are not counted. */
  bytesUploaded: number;
  bytesRead: number;
}

export function zeroCounters(): Counters {
  return {
    dispatches: 0,
    submits: 0,
    readbacks: 0,
    copies: 0,
    bindGroups: 0,
    pipelinesMade: 0,
    bytesUploaded: 0,
    bytesRead: 0,
  };
}
