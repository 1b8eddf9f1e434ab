import type { Allocation } from '../memory/allocator.ts';
import type { Arena } from '../memory/heap.ts';
import type { Command } from '../program/program.ts';
import { partialSums } from './sum.ts';

/** Most partial sums of rows, each of which takes a row of memory. */
const MOST_PARTS = 16;
/** The least rows of a part. */
const LEAST_ROWS = 32;

/** Rows of a part where sums go over rows: they depend on the shape alone, so that any number of threads agrees. */
export function rowsOfPart(rows: number): number {
  return Math.max(LEAST_ROWS, Math.ceil(rows / MOST_PARTS));
}

/** The commands that add up the rows of a matrix. */
export function columnSumCommands(arena: Arena, x: number, y: Allocation, rows: number, columns: number): Command[] {
  const taskRows = rowsOfPart(rows);
  const tasks = Math.ceil(rows / taskRows);
  const { parts, commands } = partialSums(arena, y, columns, tasks);
  return [{ operation: 'columnSum', tasks, call: { x, parts, rows, columns, taskRows } }, ...commands];
}
