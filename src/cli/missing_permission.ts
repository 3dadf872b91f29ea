// A permission that Deno was not given: which flag gives it.

/** One line that names the flag, or null when `error` is about something else. */
export function missingPermission(error: unknown): string | null {
  const denied = causes(error).find((cause) => cause instanceof Deno.errors.NotCapable);
  if (!denied) return null;
  const [, what, flag] = /^Requires (.*), run again with the (--allow-\w+) flag/.exec(denied.message) ?? [];
  if (what === undefined || flag === undefined) return denied.message;
  const value = /"(.*)"$/.exec(what)?.[1];
  return `Deno does not allow ${what}: start it with ${flag}${value === undefined ? "" : `=${value}`} ` +
    "(docs/permissions.md lists what each command needs)";
}

function causes(error: unknown): Error[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}
