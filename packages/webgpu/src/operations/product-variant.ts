/** A layout of a product of many rows that is forced in place of the rule. */
export interface ProductVariant {
  /** Rows of a tile, and outputs of it. */
  readonly extent: 64 | 128;
  /** Parts of the inputs; as many as have some, and as one binding holds, where that is fewer. */
  readonly splits: number;
}
