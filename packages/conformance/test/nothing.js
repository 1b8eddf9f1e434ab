/** Exports no backend. */
export const version = 1;
