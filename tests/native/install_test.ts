// Installing LibTorch with pip: what is asked of pip, and what becomes of its failures.

import assert from "node:assert/strict";
import { join } from "node:path";
import { installLibTorch } from "../../src/native/install.ts";
import { findLibTorch, installedFolder } from "../../src/native/libtorch.ts";
import type { SetupEvent } from "../../src/native/progress.ts";
import { addPython, contents, environment, fakeLibTorch, type FakeMachine, fakeMachine, realPath } from "./fakes.ts";

function installing(machine: FakeMachine, version = "2.11.0"): string {
  const torch = fakeLibTorch(join(machine.folder, "wheel/torch"), version);
  return `sleep 0.1; cp -r '${torch}' "$target/torch"; echo Successfully installed`;
}

Deno.test("the CPU set is torch and the two libraries it is linked to, and is found from then on", async () => {
  using machine = fakeMachine();
  addPython(machine, { install: installing(machine) });
  const events: SetupEvent[] = [];
  const libtorch = await installLibTorch({ variant: "cpu", onProgress: (event) => events.push(event) });
  assert.equal(libtorch.root, join(installedFolder("cpu"), "torch"));
  assert.deepEqual(await findLibTorch(), libtorch);
  assert.deepEqual(contents(machine.cache + "/libtorch"), ["2.11.0-cpu"]);
  assert.deepEqual(contents(installedFolder("cpu")), ["torch"]);

  const command = Deno.readTextFileSync(join(machine.folder, "python3.starts"));
  assert.match(command, /--no-deps torch==2\.11\.0 nvidia-cuda-runtime==\S+ nvidia-cuda-cupti==\S+$/m);
  assert.deepEqual(events.map(({ status, detail }) => detail ?? status), ["started", "Successfully installed", "done"]);
});

Deno.test("the CUDA set is torch with all it depends on", async () => {
  using machine = fakeMachine();
  addPython(machine, { install: installing(machine) });
  await installLibTorch({ variant: "cuda" });
  const command = Deno.readTextFileSync(join(machine.folder, "python3.starts"));
  assert.match(command, / torch==2\.11\.0$/m);
  assert.doesNotMatch(command, /--no-deps/);
});

Deno.test("who asks at the same time waits, and pip runs once", async () => {
  using machine = fakeMachine();
  addPython(machine, { install: installing(machine) });
  const roots = await Promise.all([1, 2, 3].map(async () => (await installLibTorch({ variant: "cpu" })).root));
  assert.equal(new Set(roots).size, 1);
  assert.equal(machine.starts("python3"), 2, "one look at Python, one install");
});

Deno.test("an installation that is not what was asked for is not kept", async () => {
  using machine = fakeMachine();
  addPython(machine, { install: installing(machine, "2.1.0") });
  await assert.rejects(installLibTorch({ variant: "cpu" }), { name: "SetupError", message: /2\.1\.0/ });
  assert.deepEqual(contents(machine.cache + "/libtorch"), []);
});

const failures: [name: string, output: string, message: RegExp][] = [
  ["a full disk", "ERROR: [Errno 28] No space left on device", /^the disk is full: /],
  [
    "no network",
    "WARNING: Retrying (Retry(total=0)) after connection broken by NewConnectionError: Temporary failure in name resolution",
    /^pip could not reach its package index to fetch torch 2\.11\.0: check the network/,
  ],
  [
    "no such package",
    "ERROR: No matching distribution found for torch==2.11.0",
    /^pip found no torch 2\.11\.0 for Python 3\.11\.7: check the network/,
  ],
  ["another reason", "ERROR: the moon is full", /^pip failed to install torch 2\.11\.0: the moon is full/],
];

for (const [name, output, message] of failures) {
  Deno.test(`pip's failure is told in one line, and leaves nothing behind: ${name}`, async () => {
    using machine = fakeMachine();
    addPython(machine, { install: `mkdir "$target/torch"; echo '${output}' >&2; exit 1` });
    await assert.rejects(installLibTorch({ variant: "cpu" }), (error: Error) => {
      assert.equal(error.name, "SetupError");
      assert.match(error.message, message);
      assert.ok(!error.message.includes("\n"));
      return true;
    });
    assert.deepEqual(contents(machine.cache + "/libtorch"), []);
    assert.match(
      Deno.readTextFileSync(join(machine.cache, "libtorch/failed_install.log")),
      new RegExp(name === "no network" ? "Retrying" : "ERROR"),
    );
    assert.equal(await findLibTorch(), null);
  });
}

Deno.test("the real pip without a network is told in one line", async () => {
  using machine = fakeMachine();
  const unreachable = { PIP_INDEX_URL: "https://127.0.0.1:9/", PIP_RETRIES: "1", PIP_CONFIG_FILE: "/dev/null" };
  using _network = environment({ PATH: realPath, ...unreachable });
  await assert.rejects(installLibTorch({ variant: "cpu" }), { name: "SetupError", message: /check the network/ });
  using _index = environment({ PIP_NO_INDEX: "1" });
  await assert.rejects(installLibTorch({ variant: "cpu" }), { name: "SetupError", message: /PIP_NO_INDEX/ });
  assert.deepEqual(contents(machine.cache + "/libtorch"), []);
});

Deno.test("without Python, without pip, or with an old Python there is a line that says so", async () => {
  using machine = fakeMachine();
  const message = async (): Promise<string> => {
    const error: unknown = await installLibTorch({ variant: "cpu" }).catch((error: unknown) => error);
    return error instanceof Error ? `${error.name}: ${error.message}` : "";
  };
  assert.match(await message(), /^SetupError: neither python3 nor python is on the PATH/);
  addPython(machine, { pip: null });
  assert.match(await message(), /^SetupError: Python 3\.11\.7 has no pip/);
  addPython(machine, { version: "3.8.10" });
  assert.match(await message(), /^SetupError: Python 3\.8\.10 is too old for torch 2\.11\.0/);
  assert.deepEqual(contents(machine.cache + "/libtorch"), []);
});
