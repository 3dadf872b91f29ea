// Runs another program to its end: its output line by line, and never longer than a given time.

import { SetupError } from "../errors.ts";

/** How a program is run. */
export interface RunOptions {
  /** Seconds after which the program is ended. */
  readonly timeout: number;
  /** Added to the environment that the program inherits. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Ends the program early. */
  readonly signal?: AbortSignal;
  /** Called with each non-empty line of either stream. */
  readonly onLine?: (line: string) => void;
}

/** What became of a program. */
export interface Finished {
  readonly code: number;
  /** Lines of both streams, in the order in which they came. */
  readonly lines: readonly string[];
  readonly timedOut: boolean;
}

/**
 * Runs `program` and collects what it writes.
 *
 * Needs `--allow-run=PROGRAM`, and `--allow-read` and `--allow-env` to look it up on the PATH.
 *
 * @throws Deno.errors.NotFound when there is no such program.
 */
export async function run(program: string, args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...(options.env ? { env: options.env } : {}),
    ...(options.cwd ? { cwd: options.cwd } : {}),
  }).spawn();
  const lines: string[] = [];
  const closed = new AbortController();
  const collect = (stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> =>
    eachLine(stream, closed.signal, (line) => {
      lines.push(line);
      options.onLine?.(line);
    });
  const streams = Promise.all([collect(child.stdout), collect(child.stderr)]);
  const late = AbortSignal.timeout(options.timeout * 1000);
  const ended = await endedOrStopped(child, options.signal ? AbortSignal.any([late, options.signal]) : late);
  // A stopped program's own children may keep the streams open.
  if (ended.stopped) closed.abort();
  await streams;
  return { code: ended.code, lines, timedOut: ended.stopped && late.aborted };
}

/** As {@link run}, but `null` where there is no such program, or it may not be run. */
export async function runIfPresent(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Finished | null> {
  try {
    return await run(program, args, options);
  } catch (error) {
    const { NotCapable, NotFound, PermissionDenied } = Deno.errors;
    if ([NotFound, PermissionDenied, NotCapable].some((kind) => error instanceof kind)) return null;
    throw error;
  }
}

/**
 * Tells a program that may not be run from one that is not there: for where {@link runIfPresent} found none.
 *
 * @throws SetupError naming the flag that allows it.
 */
export async function requireRunnable(program: string): Promise<void> {
  const { state } = await Deno.permissions.query({ name: "run", command: program });
  if (state !== "granted") throw new SetupError(`Deno may not start ${program}: add --allow-run=${program}`);
}

async function endedOrStopped(
  child: Deno.ChildProcess,
  signal: AbortSignal,
): Promise<{ code: number; stopped: boolean }> {
  let stopped = false;
  const stop = (): void => {
    try {
      child.kill("SIGTERM");
      stopped = true;
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  try {
    const { code } = await child.status;
    return { code, stopped };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  try {
    for await (const text of stream.pipeThrough(new TextDecoderStream(), { signal })) {
      const parts = (rest + text).split(/[\r\n]+/);
      rest = parts.pop() ?? "";
      for (const line of parts) if (line.trim() !== "") onLine(line.trimEnd());
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (rest.trim() !== "") onLine(rest.trimEnd());
}
