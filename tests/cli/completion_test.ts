// Completion, in the shells themselves: what a line becomes when Tab is pressed.

import assert from "node:assert/strict";
import { join } from "node:path";
import { bashCompletion } from "../../src/cli/completion_bash.ts";
import { fishCompletion } from "../../src/cli/completion_fish.ts";
import { completionTree } from "../../src/cli/completion_tree.ts";
import { zshCompletion } from "../../src/cli/completion_zsh.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { runIfPresent } from "../../src/native/command.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { testPython } from "../support/python.ts";

const tree = completionTree(makeProgram());
const typist = new URL("../reference/complete.py", import.meta.url).pathname;

// What is typed up to Tab, and the arguments that it becomes; in the folder are mails.csv, outline.txt and out.
const lines: readonly (readonly [typed: string, ...becomes: readonly string[]])[] = [
  ["fewtune tr", "train"],
  ["fewtune --verb\ttr\t--optimizer-", "--verbose", "train", "--optimizer-in-backward"],
  ["fewtune train --activations rec", "train", "--activations", "recompute"],
  ["fewtune train --activations=rec", "train", "--activations", "recompute"],
  ["fewtune train --train ma", "train", "--train", "mails.csv"],
  ["fewtune eval --model ou", "eval", "--model", "out"],
  ["fewtune train --k ma", "train", "--k", "ma"],
  ["fewtune predict ma", "predict", "ma"],
  ["fewtune pull g", "pull", "glue"],
  ["fewtune help pre", "help", "predict"],
];

async function hasShell(name: string): Promise<boolean> {
  return await runIfPresent(name, ["-c", "exit 0"], { timeout: 30 }) !== null;
}

// Those that are there: .ci/run installs all of them.
const shells: string[] = [];
for (const name of ["bash", "zsh", "fish"]) {
  if (name === "bash" || await hasShell(name)) shells.push(name);
}

function place(script: string): Disposable & { readonly path: string; readonly script: string } {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  for (const name of ["mails.csv", "outline.txt"]) Deno.writeTextFileSync(at(name), "");
  Deno.mkdirSync(at("out"));
  Deno.writeTextFileSync(at("script"), script);
  return { path: folder.path, script: at("script"), [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

async function output(command: readonly string[], cwd: string, input = ""): Promise<string> {
  const [program = "", ...args] = command;
  const process = new Deno.Command(program, {
    args,
    cwd,
    env: { HOME: cwd, LC_ALL: "C.UTF-8" },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    signal: AbortSignal.timeout(120_000),
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
  return new TextDecoder().decode(stdout);
}

function assertCompleted(
  arguments_: readonly string[],
  [typed, ...becomes]: readonly [string, ...readonly string[]],
): void {
  // Shells put a flag's value behind a space or =, and a / behind a folder or not.
  const parts = arguments_.flatMap((each) => each.split(/(?<=^--[\w-]+)=/)).map((each) => each.replace(/\/$/, ""));
  assert.deepEqual(parts, becomes, typed);
}

for (const [shell, script] of [["bash", bashCompletion(tree)], ["zsh", zshCompletion(tree)]] as const) {
  if (!shells.includes(shell)) continue;
  Deno.test(`Tab in an interactive ${shell}`, async () => {
    using where = place(script);
    const typed = JSON.stringify(lines.map(([line]) => `${line}\t`));
    const became = JSON.parse(await output([testPython(), typist, shell, where.script], where.path, typed));
    for (const [index, line] of lines.entries()) assertCompleted(became[index], line);
  });
}

Deno.test("bash is offered every command, and every flag of each", async () => {
  using where = place(bashCompletion(tree));
  const offer = (...words: readonly string[]): string =>
    `COMP_WORDS=(fewtune ${words.join(" ")}); COMP_CWORD=${words.length}; _fewtune; echo "\${COMPREPLY[@]}"`;
  const asked = [offer("''"), ...tree.commands.map(({ name }) => offer(name, "--"))];
  const answers = (await output(["bash", "-c", [". ./script", ...asked].join("\n")], where.path)).replace(/\n$/, "")
    .split("\n");
  const names = tree.commands.map(({ name }) => name);
  const long = tree.commands.map(({ flags }) => flags.map(({ names }) => names.at(-1)).join(" "));
  assert.deepEqual(answers, [names.join(" "), ...long]);
});

if (shells.includes("fish")) {
  Deno.test("fish offers what its Tab key shows", async () => {
    using where = place(fishCompletion(tree));
    const offered = async (asked: readonly string[]): Promise<string[][]> => {
      const questions = asked.map((line) => `complete -C '${line}'; echo ==`);
      const script = ["source ./script", ...questions].join("\n");
      const answers = await output(["fish", "--no-config", "-c", script], where.path);
      return answers.split("==\n").map((each) =>
        each.split("\n").map((line) => line.split("\t")[0] ?? "").filter(Boolean)
      );
    };
    const whole = lines.filter(([line]) => !line.includes("\t"));
    const answers = await offered([...whole.map(([line]) => line), "fewtune train --", "fewtune "]);
    for (const [index, [line, ...becomes]] of whole.entries()) {
      const [word, ...others] = answers[index] ?? [];
      const before = line.split(" ").slice(1, -1);
      assert.deepEqual(others, [], line);
      assertCompleted([...before, word ?? line.split(" ").at(-1) ?? ""], [line, ...becomes]);
    }
    const flags = tree.commands.find(({ name }) => name === "train")?.flags.map(({ names }) => names.at(-1) ?? "");
    assert.deepEqual(answers[whole.length]?.toSorted(), flags?.toSorted());
    assert.deepEqual(answers[whole.length + 1]?.toSorted(), tree.commands.map(({ name }) => name).toSorted());
  });
}
