// What messages show of a file's content: one line, of bounded length.

const mostCharacters = 80;

/** Text from a file as it is where it is short and plain; quoted, escaped and cut where it is not. */
export function plainly(text: string): string {
  return /^[ -~]{1,100}$/.test(text) ? text : quoteName(text);
}

/** A name from a file, quoted and shortened so that an error stays one readable line. */
export function quoteName(name: string): string {
  return JSON.stringify(cut(name));
}

/** A value from a JSON file. */
export function show(value: unknown): string {
  try {
    return cut(JSON.stringify(value) ?? "nothing");
  } catch {
    return "nested too deeply to be shown";
  }
}

/** The reason that another's error gives. */
export function reasonOf(cause: unknown): string {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return reason.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ").slice(0, 300);
}

function cut(text: string): string {
  return text.length > mostCharacters ? `${text.slice(0, mostCharacters - 3)}...` : text;
}
