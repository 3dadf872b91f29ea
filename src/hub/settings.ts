// The hub's settings in force: what the caller gave, else what the environment says, as Hugging Face's library reads it.

import { join, resolve } from "node:path";
import { HubError } from "../errors.ts";
import type { HubOptions, Patience } from "./options.ts";

/** The public hub. */
const publicEndpoint = "https://huggingface.co";

/** The options with everything that was left out filled in. */
export interface HubSettings extends Pick<HubOptions, "signal" | "onProgress"> {
  readonly revision: string;
  /** Without a slash at the end. */
  readonly endpoint: string;
  readonly token: string | null;
  readonly cacheFolder: string;
  readonly offline: boolean;
  readonly patience: Patience;
}

const patience: Patience = { attempts: 5, firstPause: 500, longestPause: 60_000, idle: 30_000 };

/**
 * Fills in what `options` leave out. Needs `--allow-env`, and `--allow-read` of the token's file.
 *
 * @throws {HubError} when the endpoint is no http address, or there is no place for the cache
 */
export function hubSettings(options: HubOptions): HubSettings {
  return {
    revision: options.revision ?? "main",
    endpoint: checkedEndpoint(options.endpoint ?? variable("HF_ENDPOINT") ?? publicEndpoint),
    token: options.token === undefined ? savedToken() : clean(options.token),
    cacheFolder: resolve(options.cacheFolder ?? hubCache()),
    offline: options.offline ?? isOffline(),
    signal: options.signal,
    onProgress: options.onProgress,
    patience: { ...patience, ...options.patience },
  };
}

function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url && /^https?:$/.test(url.protocol)) return text.replace(/\/+$/, "");
  throw new HubError(`the hub's address ${JSON.stringify(text)} is none: HF_ENDPOINT has to begin with https://`);
}

function savedToken(): string | null {
  const given = clean(variable("HF_TOKEN") ?? variable("HUGGING_FACE_HUB_TOKEN"));
  if (given) return given;
  try {
    return clean(Deno.readTextFileSync(path("HF_TOKEN_PATH") ?? join(hubHome(), "token")));
  } catch {
    return null;
  }
}

function clean(token: string | undefined): string | null {
  return token?.replaceAll(/[\r\n]/g, "").trim() || null;
}

function hubCache(): string {
  return path("HF_HUB_CACHE") ?? path("HUGGINGFACE_HUB_CACHE") ?? join(hubHome(), "hub");
}

function hubHome(): string {
  const shared = path("XDG_CACHE_HOME") ?? (variable("HOME") && join(variable("HOME") ?? "", ".cache"));
  const home = path("HF_HOME") ?? (shared && join(shared, "huggingface"));
  if (home) return home;
  throw new HubError("no folder for what the hub sends: HOME is not set; set HF_HOME to a folder that you can write");
}

function isOffline(): boolean {
  const value = variable("HF_HUB_OFFLINE") ?? variable("TRANSFORMERS_OFFLINE") ?? "";
  return ["1", "ON", "YES", "TRUE"].includes(value.toUpperCase());
}

// Python expands a leading ~ and variables in these.
function path(name: string): string | undefined {
  return variable(name)?.replace(/^~(?=\/|$)/, variable("HOME") ?? "~")
    .replaceAll(/\$(?:(\w+)|\{(\w+)\})/g, (whole, plain, braced) => variable(plain ?? braced) ?? whole);
}

function variable(name: string): string | undefined {
  return Deno.env.get(name) || undefined;
}
