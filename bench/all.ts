// Runs every benchmark, keeps the results in bench/results, and writes the tables and the picture from them.

import { parseArgs } from "node:util";
import { writePicture } from "./picture.ts";
import { resultFile, type Results } from "./results.ts";
import { writeTables } from "./tables.ts";

const benchmarks: readonly (readonly [name: keyof Results, script: string, ...flags: string[]])[] = [
  ["boxed_call", "boxed_call.ts"],
  ["step_minilm", "step.ts", "--model", "minilm"],
  ["step_bert_base", "step.ts", "--model", "bert-base"],
];

const { python } = parseArgs({ options: { python: { type: "string" } } }).values;
const shared = python === undefined ? [] : ["--python", python];

for (const [name, script, ...flags] of benchmarks) {
  console.log(`\n${name}\n`);
  const path = new URL(script, import.meta.url).pathname;
  const args = ["run", "-A", path, ...flags, "--json", resultFile(name).pathname, ...shared];
  const { success, code } = await new Deno.Command(Deno.execPath(), { args }).spawn().status;
  if (!success) Deno.exit(code);
}
writePicture();
await writeTables();
