// The commands setup and doctor as a person runs them: what they print where, and their exit codes.

import assert from "node:assert/strict";
import { join } from "node:path";
import { addPython, fakeLibTorch, fakeMachine } from "./fakes.ts";

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function command(module: "setup" | "doctor", args: readonly string[]): Promise<Outcome> {
  const url = new URL(`../../src/cli/${module}.ts`, import.meta.url);
  const program =
    `import { ${module}Command } from "${url}"; await ${module}Command().parseAsync(Deno.args, { from: "user" });`;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", program, "--", ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

Deno.test("doctor ends with 1 when something is missing, and says what and what to do", async () => {
  using machine = fakeMachine();
  const { code, stdout } = await command("doctor", []);
  assert.equal(code, 1);
  assert.match(stdout, /^Deno +2\./m);
  assert.ok(stdout.includes(machine.cache));
  assert.match(stdout, /^missing: LibTorch was not found: run "fewtune setup"$/m);

  const json = await command("doctor", ["--json"]);
  assert.equal(json.code, 1);
  assert.equal(JSON.parse(json.stdout).problems[0].fatal, true);
});

Deno.test("setup shows its steps on standard error, and fails with the reason", async () => {
  using machine = fakeMachine();
  const torch = fakeLibTorch(join(machine.folder, "torch"));
  addPython(machine, { install: `echo Downloading; cp -r '${torch}' "$target/torch"` });
  const { code, stdout, stderr } = await command("setup", ["--variant", "cpu"]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^installing LibTorch 2\.11\.0 \(CPU only\) \.\.\.\n +\d+ s {2}Downloading\n +\d+ s {2}done/);
  assert.match(stderr, /SetupError: the C\+\+ compiler g\+\+ is not on the PATH/);
});
