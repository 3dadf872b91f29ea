// Preparing the native part as a whole: it does what is needed, and then nothing.

import assert from "node:assert/strict";
import { join } from "node:path";
import { installedFolder } from "../../src/native/libtorch.ts";
import { prepareNative, type PrepareOptions } from "../../src/native/prepare.ts";
import {
  addCompiler,
  addPython,
  contents,
  environment,
  fakeLibTorch,
  fakeMachine,
  linkableLibTorch,
  standInSources,
} from "./fakes.ts";

Deno.test("a second preparation starts no program, writes nothing and tells nothing", async () => {
  using machine = fakeMachine();
  addCompiler(machine);
  addPython(machine, { torch: linkableLibTorch(join(machine.folder, "site-packages/torch")) });
  const sources = standInSources(join(machine.folder, "native"));
  const first = await prepareNative({ sources });
  const before = ["g++", "python3"].map(machine.starts);
  const written = Deno.statSync(first.shim).mtime;

  const onProgress = (): void => assert.fail("nothing to do");
  assert.deepEqual(await prepareNative({ sources, install: true, onProgress }), first);
  assert.deepEqual(["g++", "python3"].map(machine.starts), before);
  assert.deepEqual(Deno.statSync(first.shim).mtime, written);
});

Deno.test("without LibTorch it says how to get one, and installs nothing unless asked", async () => {
  using machine = fakeMachine();
  addPython(machine);
  await assert.rejects(prepareNative(), { name: "SetupError", message: /run "fewtune setup"/ });
  assert.deepEqual(contents(join(machine.cache, "libtorch")), []);
});

Deno.test("where it may install, a PyTorch of another version is no obstacle", async () => {
  using machine = fakeMachine();
  addCompiler(machine);
  const wheel = linkableLibTorch(join(machine.folder, "wheel/torch"));
  const old = fakeLibTorch(join(machine.folder, "old"), "2.4.1");
  addPython(machine, { torch: old, install: `cp -r '${wheel}' "$target/torch"` });
  const sources = standInSources(join(machine.folder, "native"));
  await assert.rejects(prepareNative({ sources }), { message: /^LibTorch 2\.4\.1 in / });

  const steps: string[] = [];
  const options: PrepareOptions = { sources, install: true, onProgress: ({ step }) => steps.push(step) };
  const { libtorch } = await prepareNative(options);
  assert.equal(libtorch.source, "cache");
  assert.match(steps[0] ?? "", /^LibTorch 2\.4\.1 in /);
});

Deno.test("a set that is asked for is installed, though Python has another", async () => {
  using machine = fakeMachine();
  addCompiler(machine);
  const torch = linkableLibTorch(join(machine.folder, "wheel/torch"));
  addPython(machine, { torch, install: `cp -r '${torch}' "$target/torch"` });
  const sources = standInSources(join(machine.folder, "native"));
  const { libtorch } = await prepareNative({ sources, install: true, variant: "cuda" });
  assert.equal(libtorch.root, join(installedFolder("cuda"), "torch"));
});

Deno.test("a wrong FEWTUNE_LIBTORCH is never replaced by an installation", async () => {
  using machine = fakeMachine();
  addPython(machine);
  using _ = environment({ FEWTUNE_LIBTORCH: "/no/such/folder" });
  await assert.rejects(prepareNative({ install: true }), { name: "SetupError", message: /\/no\/such\/folder/ });
  assert.equal(machine.starts("python3"), 0);
});
