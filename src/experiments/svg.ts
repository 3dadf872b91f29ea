// What the pictures have in common: their frame, colours, and text.

/** The colour of text, and that of text beside it. */
export const ink = "#1f2933";
export const faint = "#5f6c7b";

/** The colour of lines behind the data. */
export const grid = "#e4e9ee";

const fonts = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";

/** A picture on white: its size in pixels, and its elements. */
export function svgDocument(width: number, height: number, elements: readonly string[]): string {
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="${fonts}">`,
    `<rect width="100%" height="100%" rx="8" fill="#ffffff"/>`,
    ...elements,
    "</svg>",
    "",
  ].join("\n");
}

/** How a text looks; by default 14 pixels high, in ink, beginning at its place. */
export interface TextStyle {
  readonly size?: number;
  readonly weight?: number;
  readonly fill?: string;
  readonly anchor?: "start" | "middle" | "end";
}

/** A line of text, centred on y. Not by dominant-baseline, which some programs that draw SVG do not know. */
export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 14, weight = 400, fill = ink, anchor = "start" } = style;
  const place = `x="${round(x)}" y="${round(y + 0.35 * size)}" text-anchor="${anchor}"`;
  return `<text ${place} font-size="${size}" font-weight="${weight}" fill="${fill}">${escapeText(content)}</text>`;
}

/** A filled rectangle. */
export function rectangle(x: number, y: number, width: number, height: number, fill: string): string {
  return `<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" fill="${fill}"/>`;
}

/** A straight line; `dashes` as in stroke-dasharray. */
export function line(
  from: readonly [x: number, y: number],
  to: readonly [x: number, y: number],
  stroke: string,
  dashes?: string,
): string {
  const [x1, y1, x2, y2] = [...from, ...to].map(round);
  const dashed = dashes === undefined ? "" : ` stroke-dasharray="${dashes}"`;
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${stroke}"${dashed}/>`;
}

/** Names beside squares of their colours, from left to right. */
export function legend(
  x: number,
  y: number,
  entries: readonly { readonly name: string; readonly color: string }[],
): string[] {
  let left = x;
  return entries.flatMap(({ name, color }) => {
    const start = left;
    left += 46 + name.length * 6.9;
    return [
      `<rect x="${round(start)}" y="${round(y - 6)}" width="12" height="12" rx="2" fill="${color}"/>`,
      text(start + 18, y, name, { fill: faint, size: 13 }),
    ];
  });
}

/** Bytes as whole MiB. */
export function mebibytes(bytes: number): string {
  return Math.round(bytes / 2 ** 20).toLocaleString("en-US");
}

/** A coordinate to a tenth of a pixel. */
export function round(value: number): number {
  return Number(value.toFixed(1));
}

function escapeText(content: string): string {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
