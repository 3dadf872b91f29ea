// What a refusal of the hub means, and what to do about it.

import { HubError } from "../errors.ts";
import type { RepositoryKind } from "./repository.ts";

/** What was asked for when something failed. */
export interface Asked {
  readonly kind: RepositoryKind;
  readonly name: string;
  readonly revision: string;
  readonly endpoint: string;
  readonly hasToken: boolean;
  /** The file, when it was one. */
  readonly path?: string;
  /** Whether something was to be changed there. */
  readonly writes?: boolean;
}

/** What a bad status means. `code` is the hub's own word for it (X-Error-Code), where it gives one. */
export function refusal(status: number, code: string | null, asked: Asked): HubError {
  return new HubError(reason(status, code, asked), status);
}

function reason(status: number, code: string | null, asked: Asked): string {
  const { kind, name, revision, endpoint, hasToken, path } = asked;
  const right = asked.writes ? "write to it" : "read it";
  if (code === "GatedRepo") {
    const who = hasToken ? "with the account of your token" : "and set HF_TOKEN to a token of that account";
    return `the ${kind} ${name} is gated: accept its licence on ${pageOf(asked)} ${who}`;
  }
  if (code === "RevisionNotFound") {
    return `${name} has no revision ${revision}: give one of its branches, tags or commits`;
  }
  if (code === "EntryNotFound") return `${name} has no file ${path ?? ""} at revision ${revision}`;
  if (status === 401 && hasToken && code !== "RepoNotFound") {
    return `${endpoint} does not know your token (401): set HF_TOKEN to a valid one, or to nothing for public models`;
  }
  if (status === 401 || status === 404) {
    const secret = hasToken ? `and that your token may ${right}` : "and set HF_TOKEN if it is private";
    return `there is no ${kind} ${name} on ${endpoint} for you (${status}): check the name, ${secret}`;
  }
  if (status === 403) {
    const secret = hasToken ? `use a token that may ${right}` : `set HF_TOKEN to a token that may ${right}`;
    return `${endpoint} refuses ${path ?? `the ${kind}`} of ${name} (403): ${secret}, or ask its owners for access`;
  }
  if (status >= 500) return `${endpoint} is in trouble (${status}): try again later`;
  return `${endpoint} refuses ${path ?? `the ${kind}`} of ${name} (${status}${code ? ` ${code}` : ""})`;
}

/** The repository's page, for a person. */
export function pageOf({ kind, name, endpoint }: Pick<Asked, "kind" | "name" | "endpoint">): string {
  return `${endpoint}/${kind === "model" ? "" : `${kind}s/`}${name}`;
}

/** The hub wants to be left alone for longer than anybody waits. */
export function tooManyRequests(endpoint: string, milliseconds: number): HubError {
  const seconds = Math.ceil(milliseconds / 1000);
  const when = seconds < 120 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`;
  return new HubError(`${endpoint} has had too many requests (429): try again in ${when}, or set HF_TOKEN`, 429);
}

/** No answer came. */
export function unreachable(endpoint: string, cause: unknown): HubError {
  return new HubError(
    `${endpoint} cannot be reached (${detailOf(cause)}): check the network, the proxy and HF_ENDPOINT, ` +
      `or set HF_HUB_OFFLINE=1 to use what was fetched before`,
    null,
    { cause },
  );
}

// The innermost cause says it best: `dns error: failed to lookup address information`.
function detailOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  if (cause.cause !== undefined) return detailOf(cause.cause);
  return cause.message.replace(/^error sending request .*?: client error \(\w+\): /, "");
}
