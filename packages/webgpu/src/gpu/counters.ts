/** What a backend has asked of its device so far; see `countersOf`. */
export interface Counters {
  dispatches: number;
  submits: number;
  /** Waits for values to come back to the host. */
  readbacks: number;
  /** Buffer-to-buffer copies, readbacks' own included. */
  copies: number;
  bindGroups: number;
  /** Pipelines that a call had to wait for: those of a model are made by `createModel`. */
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
