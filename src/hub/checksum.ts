// Whether a file's content is what its tag on the hub says.

import { createHash, type Hash } from "node:crypto";

/**
 * Whether the tag belongs to the file's content: of a large file (LFS, Xet) it is the SHA-256, of a small one the SHA-1
 * that git gives a blob, which counts the size in. A tag of another form says nothing, and everything fits it.
 *
 * @see https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
 */
export async function fitsTag(path: string, tag: string): Promise<boolean> {
  const { size } = await Deno.stat(path);
  const hash = hashFor(tag, size);
  if (hash === null) return true;
  using file = await Deno.open(path);
  const buffer = new Uint8Array(2 ** 20);
  for (let count = await file.read(buffer); count !== null; count = await file.read(buffer)) {
    hash.update(buffer.subarray(0, count));
  }
  return hash.digest("hex") === tag;
}

function hashFor(tag: string, size: number): Hash | null {
  if (/^[0-9a-f]{64}$/.test(tag)) return createHash("sha256");
  return /^[0-9a-f]{40}$/.test(tag) ? createHash("sha1").update(`blob ${size}\0`) : null;
}
