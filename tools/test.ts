// What `deno task test` runs: set-up, format, lint, types, and every test; the last line has the real counts.
//
// With arguments (`deno task test tests/torch`, `deno task test --filter dropout`) only those tests run.

import { relative } from "node:path";
import { showSetupProgress } from "../src/cli/setup_progress.ts";
import { minilmFolder } from "../src/experiments/minilm.ts";
import { cacheFolder } from "../src/native/cache.ts";
import { prepareNative } from "../src/native/prepare.ts";
import { readReport, type Report } from "./junit.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const root = new URL("..", import.meta.url).pathname;

async function prepare(): Promise<void> {
  using progress = showSetupProgress();
  await prepareNative({ install: true, onProgress: progress.onProgress });
  await minilmFolder(cacheFolder("models"), progress.onProgress);
}

// The Python that the tests compare with: torch, transformers, PEFT and others, the first time some 5 GB.
async function preparePython(): Promise<void> {
  if (Deno.env.get("FEWTUNE_TEST_PYTHON")) return;
  console.log("\npython environment");
  const args = ["tests/reference/make.py", "--environment"];
  const { code, stdout } = await new Deno.Command("python3", { args, cwd: root, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`python3 ${args.join(" ")} ended with ${code}: see above`);
  Deno.env.set("FEWTUNE_TEST_PYTHON", new TextDecoder().decode(stdout).trim());
}

async function deno(args: readonly string[]): Promise<number> {
  return (await new Deno.Command(Deno.execPath(), { args: [...args], cwd: root }).spawn().status).code;
}

function scripts(folder: string): string[] {
  return [...Deno.readDirSync(folder)].toSorted((a, b) => a.name < b.name ? -1 : 1).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
    if (entry.isDirectory) return scripts(path);
    return entry.name.endsWith(".ts") ? [relative(root, path)] : [];
  });
}

async function runChecks(): Promise<Counts> {
  const checks = [["fmt", "--check"], ["lint"], ["check", "--quiet", "--doc", ...scripts(root.replace(/\/$/, ""))]];
  const failed: string[] = [];
  for (const [name = "", ...args] of checks) {
    console.log(`\ndeno ${name}`);
    if (await deno([name, ...args]) !== 0) failed.push(name);
  }
  for (const name of failed) console.log(`FAILED: deno ${name}`);
  return { passed: checks.length - failed.length, failed: failed.length };
}

const testFlags = ["-A", "--no-check", "--v8-flags=--expose-gc", "--preload=tests/support/strict_assert.ts"];

// Some tests, as they are named on a command line.
async function runSelected(selection: readonly string[]): Promise<Counts> {
  const report = Deno.makeTempFileSync({ suffix: ".xml" });
  try {
    console.log("\ndeno test");
    const code = await deno(["test", ...testFlags, `--junit-path=${report}`, ...selection]);
    return countTests(readReport(report), code, []);
  } finally {
    Deno.removeSync(report);
  }
}

/** Tests that one process runs. */
interface Group {
  readonly args: readonly string[];
  /** The files whose tests have to be in its report. */
  readonly files: readonly string[];
}

const filesTogether = 5;

// The files that are long come first, as if they took long. Examples in docstrings are found by `--doc`.
function groups(): Group[] {
  const size = (path: string): number => Deno.statSync(root + path).size;
  const files = scripts(`${root}tests`).filter((path) => path.endsWith("_test.ts"));
  const bySize = files.toSorted((a, b) => size(b) - size(a));
  const count = Math.ceil(files.length / filesTogether);
  const together = Array.from({ length: count }, (_, at) => bySize.filter((_, index) => index % count === at));
  return [...together.map((some) => ({ args: some, files: some })), { args: ["--doc", "mod.ts", "src"], files: [] }];
}

// Every test: as many processes at a time as there are cores, each with one thread, and what they said one by one.
async function runAll(): Promise<Counts> {
  const [queue, workers] = [groups(), navigator.hardwareConcurrency];
  console.log(`\ndeno test, in ${queue.length} processes, ${workers} at a time`);
  const counts: Counts[] = [];
  const work = async (): Promise<void> => {
    for (let group = queue.shift(); group !== undefined; group = queue.shift()) counts.push(await runGroup(group));
  };
  await Promise.all(Array.from({ length: workers }, work));
  return counts.reduce((sum, { passed, failed }) => ({ passed: sum.passed + passed, failed: sum.failed + failed }));
}

async function runGroup({ args, files }: Group): Promise<Counts> {
  const report = Deno.makeTempFileSync({ suffix: ".xml" });
  try {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", ...testFlags, `--junit-path=${report}`, ...args],
      cwd: root,
      env: { OMP_NUM_THREADS: "1" },
    }).output();
    for (const output of [stdout, stderr]) console.log(new TextDecoder().decode(output).trimEnd());
    return countTests(readReport(report), code, files);
  } finally {
    Deno.removeSync(report);
  }
}

// The report lacks files that could not be loaded; where nothing else explains a bad exit, that is one failure.
function countTests(report: Report, code: number, expected: readonly string[]): Counts {
  const unloaded = expected.filter((path) => !report.suites.has(path));
  for (const path of unloaded) console.log(`FAILED: ${path} could not be loaded`);
  for (const name of report.failures) console.log(`FAILED: ${name}`);
  const failed = report.failures.length + unloaded.length;
  return { passed: report.passed, failed: failed === 0 && code !== 0 ? 1 : failed };
}

async function main(selection: readonly string[]): Promise<Counts> {
  await prepare();
  await preparePython();
  const checks = selection.length > 0 ? { passed: 0, failed: 0 } : await runChecks();
  const tests = selection.length > 0 ? await runSelected(selection) : await runAll();
  return { passed: checks.passed + tests.passed, failed: checks.failed + tests.failed };
}

const { passed, failed } = await main(Deno.args).catch((error: unknown) => {
  console.error(error instanceof Error ? `${error.name}: ${error.message}` : error);
  return { passed: 0, failed: 1 };
});
console.log(`\n${passed} passed, ${failed} failed`);
Deno.exit(failed > 0 || passed === 0 ? 1 : 0);
