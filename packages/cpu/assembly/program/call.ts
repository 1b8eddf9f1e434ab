/**
 * Types of the fields of calls. Host code names the fields, which scripts/interface.mjs reads from the classes of
 * kernels.
 */

/** 1 for yes or 0 for no; the host gives a boolean. */
export type Flag = i32;
