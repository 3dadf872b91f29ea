// Standard output: results, and nothing else.

const encoder = new TextEncoder();

/** Writes a line. Throws `Deno.errors.BrokenPipe` when nobody reads any more, which `console.log` would hide. */
export function print(line: string): void {
  write(`${line}\n`);
}

/** Writes text as it is; throws as {@linkcode print}. */
export function write(text: string): void {
  const bytes = encoder.encode(text);
  for (let written = 0; written < bytes.length;) written += Deno.stdout.writeSync(bytes.subarray(written));
}

/** Writes names and values, the values below each other. */
export function printFacts(facts: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...facts.map(([name]) => name.length)) + 2;
  for (const [name, value] of facts) print(name.padEnd(width) + value);
}

/** Metrics as facts, with four decimals. */
export function metricFacts(metrics: Readonly<Record<string, number>>, prefix = ""): [name: string, value: string][] {
  return Object.entries(metrics).map(([name, value]) => [prefix + name, value.toFixed(4)]);
}

/** Bytes as MiB. */
export function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20).toLocaleString("en")} MiB`;
}
