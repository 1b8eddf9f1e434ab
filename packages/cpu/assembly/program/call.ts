/**
 * What a call's fields are made of. The host fills a call by its fields' names, which scripts/interface.mjs reads here.
 */

/** A yes or no: 1 or 0. */
export type Flag = i32;
