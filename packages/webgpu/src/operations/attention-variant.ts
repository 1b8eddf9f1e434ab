/** A layout of attention.wgsl. */
export interface AttentionVariant {
  /** Rows and keys of a lane: a workgroup has 8 times and 16 times as many. */
  readonly rows: 4 | 8;
  readonly keys: 1 | 2 | 4;
  readonly stageQueries: boolean;
  readonly stageKeys: boolean;
}
