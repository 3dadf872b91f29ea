// How the program behaves whatever the command: help, what was probably meant, exit codes, colours, Ctrl-C.

import assert from "node:assert/strict";
import { join } from "node:path";
import { CommanderError, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { exitCodes } from "../../src/cli/exit_codes.ts";
import { examples } from "../../src/cli/help.ts";
import { explained } from "../../src/cli/mistakes.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { findLibTorch } from "../../src/native/libtorch.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { testPython } from "../support/python.ts";
import { cliPath, fail, type Outcome, runCli, spawnCli, succeed } from "./run_cli.ts";
import { shellWords } from "./shell_words.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

/** The program, whose commands only say what they were given. */
function listening(heard: (command: string) => void, typed: readonly string[]): CommandUnknownOpts {
  const program = makeProgram();
  for (const command of [program, ...program.commands]) {
    command.configureOutput({ writeOut: () => {}, writeErr: () => {}, outputError: () => {} });
    command.exitOverride((error) => {
      throw explained(error, command, typed);
    });
    if (command !== program) command.action(() => heard(command.name()));
  }
  return program;
}

/** The command that understood a line. */
async function parse(words: readonly string[]): Promise<string> {
  const heard: string[] = [];
  await listening((command) => heard.push(command), words).parseAsync(words, { from: "user" });
  return heard.join();
}

async function refusal(...words: readonly string[]): Promise<string> {
  try {
    return `understood by ${await parse(words)}`;
  } catch (error) {
    assert.ok(error instanceof CommanderError, String(error));
    return error.message;
  }
}

Deno.test("every command has examples, and understands them", async () => {
  const names = makeProgram().commands.map((command) => command.name());
  assert.deepEqual(Object.keys(examples).toSorted(), ["fewtune", ...names].toSorted());
  for (const [name, lines] of Object.entries(examples)) {
    assert.ok(lines.length > 0);
    for (const line of lines) {
      const [program, ...words] = shellWords(line);
      assert.equal(program, "fewtune", line);
      if (words[0] === "help") assert.ok(names.includes(words[1] ?? ""), line);
      else assert.equal(await parse(words), name === "fewtune" ? words[0] : name, line);
    }
  }
});

Deno.test("what was probably meant: commands, flags and choices", async () => {
  const train = ["train", "--model", "m", "--output-dir", "o"];
  const cases: readonly (readonly [words: readonly string[], message: string])[] = [
    [["trian"], "unknown command 'trian': did you mean train?"],
    [["frobnicate"], `unknown command 'frobnicate': "fewtune --help" lists them`],
    [["eval", "--modell", "m"], "unknown option '--modell': did you mean --model?"],
    [["push", "--modle=m", "--repo", "r"], "unknown option '--modle': did you mean --model?"],
    [["--verbos", "train"], "unknown option '--verbos': did you mean --verbose?"],
    [
      [...train, "--optimiser-in-backward"],
      "unknown option '--optimiser-in-backward': did you mean --optimizer-in-backward?",
    ],
    [["export", "--frobnicate"], `unknown option '--frobnicate': "fewtune export --help" lists them`],
    [
      ["push", "--", "--repo", "--modle"],
      `error: required option '--model <dir>' not specified: "fewtune push --help" has examples`,
    ],
    [["pull"], `error: missing required argument 'what': "fewtune pull --help" has examples`],
    [
      ["pull", "gleu"],
      "error: command-argument value 'gleu' is invalid for argument 'what'. Allowed choices are glue. Did you mean glue?",
    ],
    [
      [...train, "--activations", "recomput"],
      "error: option '--activations <mode>' argument 'recomput' is invalid. Allowed choices are auto, store, recompute. Did you mean recompute?",
    ],
    [
      [...train, "--activations", "frobnicate"],
      "error: option '--activations <mode>' argument 'frobnicate' is invalid. Allowed choices are auto, store, recompute.",
    ],
  ];
  for (const [words, message] of cases) assert.equal(await refusal(...words), message);
});

Deno.test("help in every way of asking for it, on standard output; without a command on standard error", async () => {
  const asked = await Promise.all([["train", "help"], ["help", "train"], ["train", "-h"]].map((args) => succeed(args)));
  assert.match(asked[0] ?? "", /^Usage: fewtune train [^]*\nExamples:\n {2}fewtune train --model minilm/);
  assert.deepEqual(new Set(asked).size, 1);
  const [main, none] = await Promise.all([runCli(["help"]), runCli([])]);
  assert.deepEqual([none.code, none.stdout, none.stderr], [2, "", main.stdout]);
  await fail(["help", "trian"], 2, /unknown command 'trian': did you mean train\?/);
});

Deno.test("the exit codes are those of the help and of the documentation", async () => {
  const page = Deno.readTextFileSync(new URL("../../docs/command_line.md", import.meta.url));
  const documented = [...page.matchAll(/^\| (\d+) \| (.*) \|$/gm)].map(([, code, meaning]) => [Number(code), meaning]);
  assert.deepEqual(documented, exitCodes);
  const help = await succeed(["--help"]);
  for (const [code, meaning] of exitCodes) assert.ok(help.includes(`  ${String(code).padEnd(5)}${meaning}\n`), meaning);
});

async function onTerminal(args: readonly string[], env: Record<string, string>): Promise<Outcome> {
  const typist = new URL("../reference/on_terminal.py", import.meta.url).pathname;
  const { NO_COLOR: _, TERM: __, ...inherited } = Deno.env.toObject();
  const { code, stdout, stderr } = await new Deno.Command(testPython(), {
    args: [typist, Deno.execPath(), "run", "--quiet", "--no-check", "-A", cliPath, ...args],
    clearEnv: true,
    env: { ...inherited, TERM: "xterm", ...env },
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    signal: AbortSignal.timeout(60_000),
  }).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("colours on a terminal that has them, not under NO_COLOR, and never in a pipe", async () => {
  const [help, plain, dumb, error, piped] = await Promise.all([
    onTerminal(["help", "eval"], {}),
    onTerminal(["help", "eval"], { NO_COLOR: "1" }),
    onTerminal(["help", "eval"], { TERM: "dumb" }),
    onTerminal(["trian"], {}),
    runCli(["help", "eval"], { env: { NO_COLOR: "" } }),
  ]);
  assert.ok(help.stdout.startsWith("\x1b[1mUsage:\x1b[22m fewtune eval "), help.stdout);
  assert.ok(help.stdout.includes("\x1b[1mExamples:\x1b[22m"));
  for (const { stdout } of [plain, dumb, piped]) {
    assert.match(stdout, /^Usage: [^]*Examples:/);
    assert.ok(!stdout.includes("\x1b"));
  }
  assert.deepEqual([error.code, error.stdout], [
    2,
    "\x1b[31mfewtune:\x1b[39m unknown command 'trian': did you mean train?\r\n",
  ]);
});

Deno.test("Ctrl-C while train builds the shim: one line, 130, and nothing is left", async () => {
  using folder = temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 12, (good) => good ? "good" : "bad");
  Deno.writeTextFileSync(at("cc"), "#!/bin/sh\n: > $(dirname $0)/compiling\nexec sleep 60\n");
  Deno.chmodSync(at("cc"), 0o755);
  const libtorch = (await findLibTorch())?.root ?? "";
  const env = { FEWTUNE_CACHE: at("cache"), FEWTUNE_LIBTORCH: libtorch, CXX: at("cc") };
  const args = ["train", "--model", at("model"), "--train", at("train.csv"), "--output-dir", at("out"), "--quiet"];
  const child = spawnCli(args, { env });
  const output = child.output();
  for (let tries = 0; !hasFile(at("compiling")); tries++) {
    assert.ok(tries < 1500, "no compiler was started");
    await new Promise((done) => setTimeout(done, 20));
  }
  child.kill("SIGINT");
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  assert.deepEqual([code, decoder.decode(stdout), decoder.decode(stderr)], [130, "", "fewtune: interrupted\n"]);
  assert.ok(!hasFile(at("out")));
  assert.deepEqual([...Deno.readDirSync(at("cache/shim"))].map(({ name }) => name), [".lock"]);
});

function hasFile(path: string): boolean {
  try {
    return Deno.statSync(path) !== null;
  } catch {
    return false;
  }
}
