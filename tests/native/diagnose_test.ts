// The diagnosis: what it finds on a machine with nothing, with everything, and with something broken.

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildShim } from "../../src/native/build.ts";
import { type CudaFacts, cudaVersion, driverVersion, whyNoCuda } from "../../src/native/cuda.ts";
import { diagnose, type Diagnosis } from "../../src/native/diagnose.ts";
import { inspectLibTorch, type LibTorch } from "../../src/native/libtorch.ts";
import {
  addCompiler,
  addPython,
  environment,
  fakeLibTorch,
  fakeMachine,
  linkableLibTorch,
  standInSources,
} from "./fakes.ts";

function fatal({ problems }: Diagnosis): string[] {
  return problems.filter(({ fatal }) => fatal).map(({ what }) => what);
}

Deno.test("a bare machine lacks LibTorch, a compiler and Python", async () => {
  using machine = fakeMachine();
  const diagnosis = await diagnose();
  assert.deepEqual(fatal(diagnosis), ["LibTorch was not found", "no C++ compiler", "no Python on the PATH"]);
  assert.deepEqual([diagnosis.compiler, diagnosis.python, diagnosis.libtorch, diagnosis.shim], [
    null,
    null,
    null,
    null,
  ]);
  assert.equal(diagnosis.cache.folder, machine.cache);
  assert.deepEqual(diagnosis.cache.bytes, { libtorch: 0, shim: 0, models: 0, datasets: 0, tokens: 0 });
  assert.equal(diagnosis.versions.deno, Deno.version.deno);
  assert.ok(diagnosis.machine.cores > 0 && diagnosis.machine.memoryBytes > 2 ** 20);
});

Deno.test("a machine with LibTorch and a shim has no problem, and says what the shim says", async () => {
  using machine = fakeMachine();
  addCompiler(machine);
  addPython(machine);
  const sources = standInSources(join(machine.folder, "native"));
  using _ = environment({ FEWTUNE_LIBTORCH: linkableLibTorch(join(machine.folder, "libtorch")) });
  assert.deepEqual(fatal(await diagnose({ sources })), ["the shim is not built"]);

  const root = Deno.env.get("FEWTUNE_LIBTORCH") ?? "";
  const shim = await buildShim(await inspectLibTorch(root, "environment"), { sources });
  const runtime = { threads: 7, cudaDeviceCount: 0, cudaError: null };
  const diagnosis = await diagnose({ sources, load: (native) => Promise.resolve({ ...runtime, path: native.shim }) });
  assert.deepEqual(fatal(diagnosis), []);
  assert.deepEqual(diagnosis.shim, { path: shim, built: true });
  assert.deepEqual([diagnosis.threads, diagnosis.python?.version], [7, "3.11.7"]);
  assert.ok(diagnosis.cache.bytes.shim > 0);

  const broken = await diagnose({ sources, load: () => Promise.reject(new Error("undefined symbol")) });
  assert.deepEqual(fatal(broken), ["undefined symbol"]);
});

Deno.test("a LibTorch that cannot be used is one problem, not several", async () => {
  using machine = fakeMachine();
  addCompiler(machine);
  addPython(machine);
  using _ = environment({ FEWTUNE_LIBTORCH: fakeLibTorch(join(machine.folder, "old"), "2.1.0") });
  const problems = fatal(await diagnose());
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? "", /^LibTorch 2\.1\.0 /);
});

Deno.test("why CUDA does not work is told from the first thing that is missing", () => {
  const libtorch: LibTorch = { root: "/t", version: "2.11.0", cxx11Abi: true, source: "cache", hasCuda: true };
  const driver = { version: "550.54.15" };
  const facts: CudaFacts = { driver, libtorch, cudaVersion: "12.8", runtime: null };
  const working = { cudaDeviceCount: 1, cudaError: null };
  const silent = { cudaDeviceCount: 0, cudaError: null };
  assert.equal(whyNoCuda({ ...facts, runtime: working }), null);
  assert.match(whyNoCuda({ ...facts, driver: null }) ?? "", /no NVIDIA driver/);
  assert.match(whyNoCuda({ ...facts, libtorch: null }) ?? "", /no LibTorch/);
  assert.match(whyNoCuda({ ...facts, libtorch: { ...libtorch, hasCuda: false } }) ?? "", /no CUDA half/);
  assert.match(
    whyNoCuda({ ...facts, cudaVersion: "13.0", runtime: silent }) ?? "",
    /version mismatch: .*13\.0 needs an NVIDIA driver 580 .* 550\.54\.15/,
  );
  assert.match(whyNoCuda(facts) ?? "", /not known/);
  assert.equal(
    whyNoCuda({ ...facts, runtime: { ...silent, cudaError: "libcudnn.so.9 is missing" } }),
    "libcudnn.so.9 is missing",
  );
  assert.match(whyNoCuda({ ...facts, runtime: silent }) ?? "", /no CUDA device/);
});

Deno.test("the driver's version and LibTorch's CUDA version are read from what they write", async () => {
  using machine = fakeMachine();
  const closed =
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023\nGCC version:";
  const open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (dvs-builder)";
  assert.deepEqual([driverVersion(closed), driverVersion(open), driverVersion("")], ["535.104.05", "580.95.05", null]);

  const root = fakeLibTorch(join(machine.folder, "libtorch"));
  const libtorch = await inspectLibTorch(root, "cache");
  assert.equal(await cudaVersion(libtorch), null);
  Deno.writeTextFileSync(join(root, "build-version"), "2.11.0+cu126\n");
  assert.equal(await cudaVersion(libtorch), "12.6");
  Deno.writeTextFileSync(join(root, "version.py"), "debug = False\ncuda: Optional[str] = '13.0'\n");
  assert.equal(await cudaVersion(libtorch), "13.0");
});
