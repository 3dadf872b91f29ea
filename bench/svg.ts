// What the pictures share: fonts, colours, and texts and numbers as SVG.

/** For axes, titles and labels. */
export const ink = "#1f2933";
/** For what explains. */
export const faint = "#5f6c7b";
/** For lines behind the data. */
export const grid = "#e4e9ee";

const fonts = "system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";

/** How a text looks. */
export interface TextStyle {
  readonly size?: number;
  readonly weight?: number;
  readonly fill?: string;
  readonly anchor?: "start" | "middle" | "end";
}

/** A picture of that size in pixels, on white. */
export function svg(width: number, height: number, content: readonly string[]): string {
  const size = `width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="${fonts}">`,
    `<rect width="100%" height="100%" rx="8" fill="#ffffff"/>`,
    ...content,
    "</svg>",
    "",
  ].join("\n");
}

/** A text, centred on y. Not by dominant-baseline, which some programs that draw SVG do not know. */
export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size = 14, weight = 400, fill = ink, anchor = "start" } = style;
  const place = `x="${round(x)}" y="${round(y + 0.35 * size)}" text-anchor="${anchor}"`;
  return `<text ${place} font-size="${size}" font-weight="${weight}" fill="${fill}">${content}</text>`;
}

/** A coordinate to a tenth of a pixel. */
export function round(value: number): number {
  return Number(value.toFixed(1));
}

/** Coloured squares with their names in a row, from x on. */
export function legend(x: number, y: number, entries: readonly (readonly [name: string, color: string])[]): string[] {
  let left = x;
  return entries.flatMap(([name, color]) => {
    const square = `<rect x="${round(left)}" y="${y - 6}" width="12" height="12" rx="2" fill="${color}"/>`;
    const label = text(left + 18, y, name, { fill: faint, size: 13 });
    left += 46 + name.length * 6.9;
    return [square, label];
  });
}
