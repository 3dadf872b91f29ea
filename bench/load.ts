// Seconds and memory of loading a checkpoint of OPT-1.3b's size, side by side with safetensors and transformers.

import { parseArgs } from "node:util";
import { initialize } from "../mod.ts";
import { configOf, writeCheckpoint } from "./load_checkpoint.ts";
import { markdownTable } from "./markdown.ts";
import { count } from "./options.ts";
import { packageVersions, peerPackages, runScript } from "./python.ts";
import { describeOrigin, type LoadResult, type MeasuredLoad, median, writeResult } from "./results.ts";

type Contestant = Pick<LoadResult["contestants"][number], "name" | "dtype">;

const dtypes = ["float16", "float32"] as const;

async function loadHere(folder: string, dtype: string): Promise<MeasuredLoad> {
  const worker = new URL("load_worker.ts", import.meta.url).pathname;
  const args = ["run", "-A", "--quiet", worker, folder, dtype];
  const { success, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (!success) throw new Error(`loading ${folder} failed`);
  return JSON.parse(new TextDecoder().decode(stdout)) as MeasuredLoad;
}

function load({ name, dtype }: Contestant, folder: string, python = ""): Promise<MeasuredLoad> {
  if (name === "fewtune") return loadHere(folder, dtype);
  return runScript(python, "load_peer.py", [folder, dtype, "--way", name]);
}

/** Measures in rounds, all ways in turn. The first round, which also brings the files into memory, does not count. */
export async function measure(
  model: "opt-1.3b" | "tiny",
  rounds: number,
  python: string | undefined,
): Promise<LoadResult> {
  await initialize();
  const names = python === undefined ? ["fewtune"] as const : ["fewtune", "safetensors", "transformers"] as const;
  const contestants = dtypes.flatMap((dtype) => names.map((name) => ({ name, dtype, loads: [] as MeasuredLoad[] })));
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-bench-" });
  try {
    const size = writeCheckpoint(folder, configOf(model));
    for (let round = 0; round <= rounds; round++) {
      for (const contestant of contestants) {
        const measured = await load(contestant, folder, python);
        if (round > 0) contestant.loads.push(measured);
      }
    }
    return {
      ...await describeOrigin(
        python === undefined ? {} : await packageVersions(python, ["safetensors", ...peerPackages]),
      ),
      ...{ rounds, parameters: size.parameters, fileBytes: size.bytes },
      contestants: contestants.map(({ name, dtype, loads }) => ({
        ...{ name, dtype, weightBytes: size.parameters * (dtype === "float16" ? 2 : 4) },
        seconds: middle(loads, "seconds"),
        cpuSeconds: middle(loads, "cpuSeconds"),
        peakBytes: middle(loads, "peakBytes"),
      })),
    };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function middle(loads: readonly MeasuredLoad[], field: keyof MeasuredLoad): number {
  return Number(median(loads.map((load) => load[field])).toFixed(3));
}

const titles = { fewtune: "Fewtune", safetensors: "safetensors", transformers: "transformers" } as const;

/** The result as a Markdown table. */
export function loadTable({ contestants, fileBytes }: LoadResult): string {
  return markdownTable(
    ["", "Seconds", "GB/s", "CPU seconds", "Peak to weights"],
    contestants.map(({ name, dtype, seconds, cpuSeconds, peakBytes, weightBytes }) => [
      `${titles[name]}, into ${dtype}`,
      seconds.toFixed(2),
      (fileBytes / seconds / 1e9).toFixed(2),
      cpuSeconds.toFixed(2),
      (peakBytes / weightBytes).toFixed(2),
    ]),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      python: { type: "string" },
      model: { type: "string", default: "opt-1.3b" },
      rounds: { type: "string", default: "5" },
      json: { type: "string" },
    },
  });
  const { model } = values;
  if (model !== "opt-1.3b" && model !== "tiny") throw new Error(`--model ${model}: it has to be opt-1.3b or tiny`);
  const result = await measure(model, count("rounds", values.rounds), values.python);
  console.log(loadTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
