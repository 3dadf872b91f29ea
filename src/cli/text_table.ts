// Tables of plain text: columns under a header and a rule.

/** The lines of a table. Columns after the first are aligned to the right. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map((row) => row[column]?.length ?? 0)));
  const format = (row: readonly string[]): string =>
    row.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))
      .join("   ").trimEnd();
  const rule = "-".repeat(widths.reduce((sum, width) => sum + width + 3, -3));
  return [format(header), rule, ...rows.map(format)];
}
