// Whether something is there; what Deno may not look at is an error, and not taken for missing.

/** Whether anything has that path, a link that leads nowhere included. */
export function exists(path: string): boolean {
  return look(() => Deno.lstatSync(path)) !== null;
}

/** Whether a file has that path, or a link to one. */
export function isFile(path: string): boolean {
  return look(() => Deno.statSync(path))?.isFile ?? false;
}

function look(stat: () => Deno.FileInfo): Deno.FileInfo | null {
  try {
    return stat();
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return null;
  }
}
