/** Tables of a Markdown document that are made of files of results, between a mark with the table's name and an end. */
import { MambaError } from '@mamba/core';
import { markdownTable } from '../markdown-table.ts';

export interface MadeTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Makes each table by its name, when a document asks for it: the results of others may not be there yet. */
export type Tables = Readonly<Record<string, () => MadeTable>>;

const MADE = /(<!-- made: ([\w-]+) -->\n)[\s\S]*?(<!-- made, to here -->)/g;

/**
 * The document with each of its made tables as it should be.
 * @throws MambaError `invalid-file` where it asks for a table that there is not.
 */
export function fillTables(document: string, origin: string, tables: Tables): string {
  return document.replace(MADE, (_, begin: string, name: string, end: string) => {
    const make = tables[name];
    if (make === undefined)
      throw new MambaError('invalid-file', `${origin} has a place for a table that is not made`, {
        origin,
        given: name,
        expected: `one of ${Object.keys(tables).join(', ')}`,
        remedy: 'Correct the name in the mark, or add the table in apps/bench/src/report/tables.',
      });
    const table = make();
    return `${begin}${markdownTable(table.head, table.rows)}\n${end}`;
  });
}
