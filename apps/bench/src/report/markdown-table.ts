/** A table of Markdown, whose first column is of words and whose others are of figures. */
export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = head.slice(1).map(() => ' ---: |');
  return [
    `| ${head.join(' | ')} |`.replace('|  |', '| |'),
    `| --- |${rule.join('')}`,
    ...rows.map((row) => `| ${row.join(' | ')} |`),
  ].join('\n');
}
