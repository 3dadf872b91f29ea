// A table in Markdown.

/** Rows of cells under a header; columns after the first are aligned to the right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const rule = header.map((_, column) => column === 0 ? "---" : "---:");
  return [header, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Bytes as MiB, without decimals from 100 on. */
export function mebibytes(bytes: number): string {
  const value = bytes / 2 ** 20;
  return value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 });
}
