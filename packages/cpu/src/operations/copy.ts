import type { Command } from '../program/program.ts';

/** Copies bytes within the memory. */
export function copyCommand(from: number, to: number, bytes: number): Command {
  return { operation: 'copy', tasks: 1, call: { from, to, bytes } };
}
