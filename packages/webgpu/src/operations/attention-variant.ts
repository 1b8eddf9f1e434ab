/** A layout of attention.wgsl. */
export interface AttentionVariant {
  /** Lanes of a workgroup, down its rows and across its keys. A lane has four rows. */
  readonly down: number;
  readonly across: number;
  /** Keys of a lane. */
  readonly keys: 1 | 2 | 4;
  /** What passes through workgroup memory. */
  readonly stageKeys: boolean;
  readonly stageValues: boolean;
}
