/** The hash of a file's content: its SHA-256, or git's SHA-1 of it as a blob. */
export const HASH = /^([0-9a-f]{40}|[0-9a-f]{64})$/;
