// What messages show of a file's content: one line, of bounded length.

const mostCharacters = 80;

/** Text from a file as it is where it is short and plain; quoted, escaped and cut where it is not. */
export function plainly(text: string): string {
  return /^[ -~]{1,100}$/.test(text) ? text : quoteName(text);
}

/** A name from a file, quoted and shortened so that an error stays one readable line. */
export function quoteName(name: string): string {
  return escaped(JSON.stringify(cut(name)));
}

/** A value from a JSON file. */
export function show(value: unknown): string {
  try {
    return escaped(cut(JSON.stringify(value, nonFiniteAsText) ?? "nothing"));
  } catch {
    return "nested too deeply to be shown";
  }
}

/** For `JSON.stringify`: JSON has neither NaN nor Infinity, and would call them null. */
export function nonFiniteAsText(_: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** The reason that another's error gives. */
export function reasonOf(cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return reason.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 300);
}

// What JSON leaves as it is and yet breaks a line, or turns or hides text.
function escaped(json: string): string {
  return json.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${character.codePointAt(0)?.toString(16)}}`;
  });
}

function cut(text: string): string {
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters - 3)}...` : text;
}

/** The first few of a list for a message. */
export function list(items: readonly string[]): string {
  const shown = items.slice(0, 8).map(plainly).join(", ");
  return items.length > 8 ? `${shown} and ${items.length - 8} more` : shown;
}
