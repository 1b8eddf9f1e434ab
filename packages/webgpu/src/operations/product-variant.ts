/** A layout of products of many rows that is forced. What is left out follows the rule. */
export interface ProductVariant {
  /** Rows of a tile, and outputs of it. */
  readonly extent?: 64 | 128 | undefined;
  /** Parts of the inputs; as many as have some, and as one binding holds, where that is fewer. */
  readonly splits?: number | undefined;
  /** Whether the gradient of x is computed from a turned copy of the weight, where its sizes are multiples of 4. */
  readonly turns?: boolean | undefined;
}
