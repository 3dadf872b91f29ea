// Requests to the hub: redirects, dead connections, pauses and further attempts, and a token that stays with its host.

import { HubError } from "../errors.ts";
import { version } from "../version.ts";
import { type Asked, refusal, tooManyRequests, unreachable } from "./failures.ts";
import type { HubSettings } from "./settings.ts";

/** Something failed that may succeed when it is tried again. */
export class Passing extends Error {
  /** @param wait the milliseconds that the server wants to be left alone; null when it does not say */
  constructor(readonly reason: HubError, readonly wait: number | null = null) {
    super(reason.message, { cause: reason });
  }
}

/** A request. */
export interface HubRequest {
  readonly method: "GET" | "HEAD";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether a redirect is followed; the answer is the redirect where it is not. */
  readonly follow: (from: URL, to: URL, headers: Headers) => boolean;
}

/** An answer, and how to read its body. */
export interface HubResponse {
  readonly status: number;
  readonly headers: Headers;
  /** The body piece by piece; throws {@linkcode Passing} when the connection breaks or nothing comes for too long. */
  readonly body: () => AsyncIterable<Uint8Array<ArrayBuffer>>;
}

const mostRedirects = 8;

/**
 * Sends a request, and hands its answer to `use`; the connection ends with it.
 *
 * @throws {Passing} without an answer, and with a status that may be another one next time
 * @throws {HubError} with a status that stays
 */
export async function request<T>(
  { method, url, headers = {}, follow }: HubRequest,
  asked: Asked,
  settings: HubSettings,
  use: (response: HubResponse) => Promise<T>,
): Promise<T> {
  using connection = new Connection(settings);
  let target = new URL(url);
  for (let redirects = 0; redirects <= mostRedirects; redirects++) {
    const response = await connection.send(target, method, headers);
    const location = redirectOf(response, target);
    if (!location || !follow(target, location, response.headers)) {
      if (!response.ok && !location) throw failure(response, target, asked, settings);
      return await use({ status: response.status, headers: response.headers, body: () => connection.read(response) });
    }
    await response.body?.cancel();
    target = location;
  }
  throw new HubError(`${settings.endpoint} redirects ${asked.path ?? asked.name} without end`);
}

/** Tries `attempt` until it succeeds, pausing in between: so often in a row as is patient without `progress` changing. */
export async function persistently<T>(
  { patience, signal }: HubSettings,
  attempt: () => Promise<T>,
  progress: () => number = () => 0,
): Promise<T> {
  for (let failures = 1, last = progress();; failures++) {
    try {
      return await attempt();
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof Passing)) throw error;
      if (progress() !== last) failures = 1;
      last = progress();
      if (error.wait !== null && error.wait > patience.longestPause) throw error.reason;
      if (failures >= patience.attempts) throw error.reason;
      await pause(error.wait ?? patience.firstPause * 2 ** (failures - 1), signal);
    }
  }
}

/** Waits; throws at once when the signal is aborted. */
export function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

// One connection after the other, until it is disposed; each dies when no byte comes for too long.
class Connection implements Disposable {
  readonly #silence = new AbortController();

  constructor(readonly settings: HubSettings) {}

  async send(url: URL, method: string, headers: Readonly<Record<string, string>>): Promise<Response> {
    const { endpoint, token, signal } = this.settings;
    const isHub = url.origin === new URL(endpoint).origin;
    try {
      return await this.#alive(() =>
        fetch(url, {
          method,
          headers: {
            // What is compressed on the way has neither the size nor the tag of the file.
            "accept-encoding": "identity",
            "user-agent": `fewtune/${version}`,
            ...(isHub && token !== null && { authorization: `Bearer ${token}` }),
            ...headers,
          },
          redirect: "manual",
          signal: signal ? AbortSignal.any([signal, this.#silence.signal]) : this.#silence.signal,
        })
      );
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async *read({ body }: Response): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const reader = body?.getReader();
    if (!reader) return;
    try {
      for (;;) {
        const { done, value } = await this.#alive(() => reader.read());
        if (done) return;
        yield value;
      }
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async #alive<T>(work: () => Promise<T>): Promise<T> {
    const { idle } = this.settings.patience;
    const timer = setTimeout(() => this.#silence.abort(new Error(`silent for ${idle / 1000} s`)), idle);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  #explained(error: unknown): unknown {
    const { endpoint, signal } = this.settings;
    if (signal?.aborted) return signal.reason;
    const silence = this.#silence.signal;
    const isNetwork = silence.aborted || error instanceof TypeError || error instanceof Deno.errors.Http;
    if (!isNetwork) return error;
    return new Passing(unreachable(endpoint, silence.aborted ? silence.reason : error));
  }

  [Symbol.dispose](): void {
    this.#silence.abort(new Error("done"));
  }
}

function redirectOf({ status, headers }: Response, from: URL): URL | null {
  const location = headers.get("location");
  return [301, 302, 303, 307, 308].includes(status) && location ? new URL(location, from) : null;
}

/** What a bad answer from `url` means. */
export function failure(
  { status, headers }: Response,
  { origin }: URL,
  asked: Asked,
  { endpoint, patience }: HubSettings,
): HubError | Passing {
  const wait = waitOf(headers);
  if (status === 429) return new Passing(tooManyRequests(endpoint, wait ?? patience.longestPause), wait);
  // Where large files are kept, an address is good for a while: the hub gives a new one.
  const isExpired = status === 403 && origin !== new URL(endpoint).origin;
  const reason = refusal(status, headers.get("x-error-code"), asked);
  return status >= 500 || status === 408 || isExpired ? new Passing(reason, wait) : reason;
}

// Milliseconds until the hub wants to be asked again. Retry-After is a number of seconds or a date (RFC 9110, section
// 10.2.3); the hub's own word for it is `RateLimit: "api";r=0;t=55` (draft-ietf-httpapi-ratelimit-headers).
function waitOf(headers: Headers): number | null {
  const limit = /;\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)/.exec(headers.get("ratelimit") ?? "")?.[1];
  const value = headers.get("retry-after")?.trim() || limit;
  if (value === undefined) return null;
  const wait = /^\d+(\.\d+)?$/.test(value) ? 1000 * Number(value) : Date.parse(value) - Date.now();
  return Number.isFinite(wait) ? Math.max(0, wait) : null;
}
