// Finding LibTorch: where, in which order, and which versions.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  findLibTorch,
  inspectLibTorch,
  installedFolder,
  libTorchFromCache,
  versionNote,
} from "../../src/native/libtorch.ts";
import { addPython, environment, fakeLibTorch, fakeMachine, linkableLibTorch } from "./fakes.ts";

Deno.test("LibTorch is looked for in the environment, then the cache, then Python", async () => {
  using machine = fakeMachine();
  assert.equal(await findLibTorch(), null);

  const inPython = fakeLibTorch(join(machine.folder, "site-packages/torch"));
  addPython(machine, { torch: inPython });
  assert.deepEqual(await findLibTorch(), {
    root: inPython,
    version: "2.11.0",
    cxx11Abi: false,
    source: "python",
    hasCuda: false,
  });

  const inCache = fakeLibTorch(join(installedFolder("cpu"), "torch"));
  Deno.writeTextFileSync(join(inCache, "lib/libtorch_cuda.so"), "");
  const cached = await findLibTorch();
  assert.deepEqual([cached?.root, cached?.source, cached?.hasCuda], [inCache, "cache", true]);

  const own = fakeLibTorch(join(machine.folder, "own"));
  using _ = environment({ FEWTUNE_LIBTORCH: own });
  const named = await findLibTorch();
  assert.deepEqual([named?.root, named?.source], [own, "environment"]);
});

Deno.test("the cache gives the set that was asked for, and only that", async () => {
  using _ = fakeMachine();
  fakeLibTorch(join(installedFolder("cpu"), "torch"));
  assert.equal(await libTorchFromCache("cuda"), null);
  const cuda = fakeLibTorch(join(installedFolder("cuda"), "torch"));
  assert.equal((await libTorchFromCache("cuda"))?.root, cuda);
});

Deno.test("what Python answered is remembered until PATH changes or the folder is gone", async () => {
  using machine = fakeMachine();
  const first = fakeLibTorch(join(machine.folder, "first"));
  addPython(machine, { torch: first });
  await findLibTorch();
  await findLibTorch();
  assert.equal(machine.starts("python3"), 1);

  using _ = environment({ PATH: `${Deno.env.get("PATH")}:/nowhere` });
  await findLibTorch();
  assert.equal(machine.starts("python3"), 2);

  Deno.removeSync(first, { recursive: true });
  const second = fakeLibTorch(join(machine.folder, "second"));
  addPython(machine, { torch: second });
  assert.equal((await findLibTorch())?.root, second);
});

Deno.test("a Python that fails, or whose torch has no libraries, is passed over", async () => {
  using machine = fakeMachine();
  machine.addProgram("python3", "echo broken; exit 127");
  assert.equal(await findLibTorch(), null);
  Deno.mkdirSync(join(machine.folder, "torch"));
  addPython(machine, { torch: join(machine.folder, "torch") });
  assert.equal(await findLibTorch(), null);
});

Deno.test("FEWTUNE_LIBTORCH that names no LibTorch is refused with its value and what is missing", async () => {
  using machine = fakeMachine();
  using _nowhere = environment({ FEWTUNE_LIBTORCH: "/no/such/folder" });
  await assert.rejects(findLibTorch(), {
    name: "SetupError",
    message: /^FEWTUNE_LIBTORCH is \/no\/such\/folder, where lib\/libtorch_cpu.so is missing: /,
  });
  const half = fakeLibTorch(join(machine.folder, "half"));
  Deno.removeSync(join(half, "include"), { recursive: true });
  using _half = environment({ FEWTUNE_LIBTORCH: half });
  await assert.rejects(findLibTorch(), { message: /where include\/\S+ is missing/ });
});

Deno.test("versions outside the accepted ones are refused, wherever they are", async () => {
  using machine = fakeMachine();
  const old = fakeLibTorch(join(machine.folder, "old"), "2.8.0");
  addPython(machine, { torch: old });
  await assert.rejects(findLibTorch(), {
    name: "SetupError",
    message: new RegExp(`^LibTorch 2.8.0 in ${old} cannot be used, 2.9 to 2.12 can: run "fewtune setup"`),
  });
  using _ = environment({ FEWTUNE_LIBTORCH: fakeLibTorch(join(machine.folder, "new"), "2.13.1") });
  await assert.rejects(findLibTorch(), { message: /^LibTorch 2\.13\.1 in .*: set FEWTUNE_LIBTORCH to another/ });
  Deno.writeTextFileSync(join(old, "include/torch/csrc/api/include/torch/version.h"), "");
  await assert.rejects(inspectLibTorch(old, "python"), { message: /^LibTorch of an unknown version in / });
});

Deno.test("a neighbouring version is accepted with a note", async () => {
  using machine = fakeMachine();
  const near = await inspectLibTorch(fakeLibTorch(join(machine.folder, "near"), "2.9.1"), "python");
  assert.match(versionNote(near) ?? "", /^LibTorch 2\.9\.1 in .* is not the version .* 2\.11\.0$/);
  const tested = await inspectLibTorch(fakeLibTorch(join(machine.folder, "tested"), "2.11.0"), "python");
  assert.equal(versionNote(tested), null);
});

Deno.test("the C++ ABI is read from the library", async () => {
  using machine = fakeMachine();
  const newAbi = linkableLibTorch(join(machine.folder, "new"), true);
  const oldAbi = linkableLibTorch(join(machine.folder, "old"), false);
  assert.equal((await inspectLibTorch(newAbi, "environment")).cxx11Abi, true);
  assert.equal((await inspectLibTorch(oldAbi, "environment")).cxx11Abi, false);
});
