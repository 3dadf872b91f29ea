// Names that come from outside and become paths: which of them are what they say, and stay where they belong.

import { HubError } from "../errors.ts";
import { quoteName } from "../files/shown.ts";

const word = /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/;

/** Whether `text` can be a repository's name: `org/name`, or one word; at most 96 characters, without `--` and `..`. */
export function isRepositoryName(text: string): boolean {
  const words = text.split("/");
  return words.length <= 2 && words.every((each) => word.test(each)) && !/--|\.\./.test(text) && text.length <= 96;
}

/** Whether `path` names a file inside a repository: plain words between slashes, which mean the same on every system. */
export function isPathInside(path: string): boolean {
  // deno-lint-ignore no-control-regex -- control characters, NUL among them, are what is looked for
  if (path.length > 1024 || /[\\\x00-\x1f\x7f]|^[A-Za-z]:/.test(path)) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && part.length <= 255);
}

/** Whether `text` is a full commit: 40 hexadecimal digits. */
export function isCommit(text: unknown): text is string {
  return typeof text === "string" && /^[0-9a-f]{40}$/.test(text);
}

/** Throws {@linkcode HubError} unless `text` can be a repository's name. */
export function checkRepositoryName(text: string): void {
  if (!isRepositoryName(text)) throw new HubError(`${quoteName(text)} is no name on the hub: one is org/name`);
}

/** Throws {@linkcode HubError} unless `revision` can be a branch, a tag or a commit. */
export function checkRevision(revision: string): void {
  if (isPathInside(revision)) return;
  throw new HubError(`${quoteName(revision)} is no revision: give a branch, a tag or a commit`);
}

/** A tag of a file's content, as the name of a file. Throws {@linkcode HubError} when it cannot be one. */
export function contentTag(header: string | null, what: string): string {
  const tag = header?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1") ?? "";
  if (/^[A-Za-z0-9][\w.-]{0,199}$/.test(tag)) return tag;
  throw new HubError(`the hub gives no usable ETag for ${what} (${header}): check HF_ENDPOINT and the proxy`);
}
