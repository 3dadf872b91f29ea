// Runs every benchmark, keeps the results in bench/results, and writes the tables and the pictures from them.

import { parseArgs } from "node:util";
import { describeMachine } from "../src/native/machine.ts";
import { writeGrowthPicture } from "./growth_picture.ts";
import { writePicture } from "./picture.ts";
import { resultFile, type Results } from "./results.ts";
import { writeTables } from "./tables.ts";

const benchmarks: readonly (readonly [name: keyof Results, script: string, ...flags: string[]])[] = [
  ["boxed_call", "boxed_call.ts"],
  ["step_bert_base", "step.ts"],
  ["step_cola", "step.ts", "--batch-size", "64", "--lengths", "cola", "--k", "8"],
  ["growth", "growth.ts"],
  ["load", "load.ts"],
  ["policies", "policies.ts"],
  ["parameters", "parameters.ts"],
  ["methods", "methods.ts"],
];

// Matrix products in bf16 are emulated, slowly, where the processor has no instructions for them.
async function hasBf16(): Promise<boolean> {
  const { instructionSets } = await describeMachine();
  return instructionSets?.some((name) => name.endsWith("_bf16")) ?? false;
}

const { python } = parseArgs({ options: { python: { type: "string" } } }).values;
const peers = python === undefined ? [] : ["--python", python];
const precision = await hasBf16() ? ["--bf16"] : [];
const shared: Readonly<Record<string, readonly string[]>> = {
  "boxed_call.ts": peers,
  "load.ts": peers,
  "step.ts": [...peers, ...precision],
};

for (const [name, script, ...flags] of benchmarks) {
  console.log(`\n${name}\n`);
  const path = new URL(script, import.meta.url).pathname;
  const args = ["run", "-A", path, ...flags, "--json", resultFile(name).pathname, ...(shared[script] ?? [])];
  const { success, code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (!success) Deno.exit(code);
}
writePicture();
writeGrowthPicture();
await writeTables();
