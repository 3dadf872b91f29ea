// What a standard stream shows: colours, and lines that are written over, on a terminal alone.

/** A standard stream, as far as it matters here. */
export interface Stream {
  isTerminal(): boolean;
}

/** Whether lines can be written over: on a terminal that knows how. */
export function isRewritable(stream: Stream): boolean {
  return stream.isTerminal() && terminalKind() !== "dumb";
}

/** Whether colours are shown: on a terminal that knows them, and not under `NO_COLOR`. */
export function hasColors(stream: Stream): boolean {
  return isRewritable(stream) && !Deno.noColor;
}

/** Text in bold, as a heading. */
export function bold(text: string): string {
  return `\x1b[1m${text}\x1b[22m`;
}

/** Text in red. */
export function red(text: string): string {
  return `\x1b[31m${text}\x1b[39m`;
}

// Looked at where that is allowed: it is not worth a question.
function terminalKind(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable: "TERM" });
  return state === "granted" ? Deno.env.get("TERM") : undefined;
}
