// Runs the command-line tool as a person does, and gives what came out of it.

import assert from "node:assert/strict";

/** The command-line tool's file. */
export const cliPath: string = new URL("../../cli.ts", import.meta.url).pathname;

/** What a run printed and how it ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How the tool is run. */
export interface RunOptions {
  readonly stdin?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** Standard input stays open: what waits for it never ends. */
  readonly openStdin?: boolean;
  /** Deno's flags; `-A` unless given. */
  readonly permissions?: readonly string[];
}

/** Starts the tool. */
export function spawnCli(args: readonly string[], options: RunOptions = {}): Deno.ChildProcess {
  const { stdin, env, cwd, openStdin, permissions = ["-A"] } = options;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", ...permissions, cliPath, ...args],
    ...(cwd !== undefined && { cwd }),
    stdin: stdin === undefined && !openStdin ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1", OMP_NUM_THREADS: "1", HF_HUB_OFFLINE: "1", ...env },
  }).spawn();
}

/** Runs the tool to its end. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const child = spawnCli(args, options);
  if (options.stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(options.stdin)).catch(() => {});
    await writer.close().catch(() => {});
  }
  const { code, stdout, stderr } = await child.output();
  if (options.openStdin) await child.stdin.close().catch(() => {});
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Runs the tool, asserts that it ended well, and gives what it printed. */
export async function succeed(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, options);
  assert.equal(code, 0, stderr);
  return stdout;
}

/** Runs the tool, and asserts that it failed with one line on standard error, and nothing on standard output. */
export async function fail(
  args: readonly string[],
  code: number,
  line: RegExp,
  options: RunOptions = {},
): Promise<void> {
  const outcome = await runCli(args, options);
  assert.match(outcome.stderr, /^fewtune: [^\n]+\n$/, `${args}`);
  assert.match(outcome.stderr, line);
  assert.deepEqual({ code: outcome.code, stdout: outcome.stdout }, { code, stdout: "" }, `${args}`);
}

/** Runs all, two at a time. */
export async function twoAtATime(tasks: readonly (() => Promise<void>)[]): Promise<void> {
  const queue = [...tasks];
  const worker = async (): Promise<void> => {
    for (let task = queue.shift(); task; task = queue.shift()) await task();
  };
  await Promise.all([worker(), worker()]);
}
