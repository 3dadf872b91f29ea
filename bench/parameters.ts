// How many of BERT-large's parameters each method trains and saves, beside the shares that were published.

import { parseArgs } from "node:util";
import { describeMethods, initialize, type MethodDescription, type MethodOptions, randomClassifier } from "../mod.ts";
import { bertConfig, bertSizes } from "../src/experiments/model_configs.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { describeOrigin, type Origin, writeResult } from "./results.ts";

interface Row extends Pick<MethodDescription, "trainableParameters" | "savedParameters" | "savedBytes"> {
  /** As it is said on a command line. */
  readonly flags: string;
  /** What the literature says of it; null where it says nothing of this model. */
  readonly published: string | null;
}

/** The counts. */
export interface ParametersResult extends Origin {
  readonly model: string;
  readonly backboneParameters: number;
  readonly headParameters: number;
  readonly rows: readonly Row[];
}

type Named = readonly [flags: string, options: MethodOptions, published: string | null];

const named: readonly Named[] = [
  ["full", {}, "100 %"],
  ["adapters", {}, "2.1 % (Houlsby et al. 2019, size 64)"],
  ["adapters --adapter-size 128", { adapterSize: 128 }, "3.6 % (the same, the best of sizes 8 to 256 for each task)"],
  ["adapters --adapter-placement pfeiffer", { adapterPlacement: "pfeiffer" }, null],
  ["compacter", {}, null],
  ["bitfit", {}, "0.08 % (Ben Zaken et al. 2022)"],
  ["bitfit --bitfit-biases query-intermediate", { bitfitBiases: "query-intermediate" }, "0.04 % (the same)"],
  ["diff", {}, "0.5 % saved (Guo et al. 2021)"],
  ["mask", {}, null],
  ["lst", {}, "2.4 % (Simoulin et al. 2023)"],
  ["side", {}, null],
  ["lora", {}, "0.3 % (Simoulin et al. 2023)"],
  ["lora --lora-targets query,key,value", { loraTargets: ["query", "key", "value"] }, null],
  ["lora --use-dora", { useDora: true }, null],
  ["ia3", {}, null],
  ["prefix", {}, null],
  ["prompt", {}, null],
  ["freeze --freeze-layers 12", { freezeLayers: 12 }, null],
];

const config = bertConfig(bertSizes["bert-large"]);

/** A row for each. */
export function parametersTable({ rows, backboneParameters, headParameters }: ParametersResult): string {
  const grouped = (value: number | null): string => value?.toLocaleString("en") ?? "";
  const withShare = (value: number | null): string =>
    `${grouped(value)} (${(100 * (value ?? NaN) / backboneParameters).toPrecision(3)} %)`;
  const table = markdownTable(
    ["`--method`", "Trained", "Saved", "Saved, MiB", "Published share"],
    rows.map(({ flags, trainableParameters, savedParameters, savedBytes, published }) => [
      ...[`\`${flags}\``, withShare(trainableParameters), withShare(savedParameters)],
      ...[mebibytes(savedBytes ?? NaN), published ?? ""],
    ]),
  );
  return `${table}\n\nOf the backbone's ${grouped(backboneParameters)} parameters; a head of two labels has ${
    grouped(headParameters)
  } more, which always train.`;
}

function rowOf([flags, options, published]: Named): Row {
  const method = flags.split(" ")[0];
  const make: Parameters<typeof describeMethods>[0] = (device) =>
    randomClassifier(config, { target: { labels: ["a", "b"] }, device });
  const found = describeMethods(make, options).methods.find(({ name }) => name === method);
  if (!found) throw new Error(`${method} is no method`);
  const { trainableParameters, savedParameters, savedBytes } = found;
  return { flags, trainableParameters, savedParameters, savedBytes, published };
}

if (import.meta.main) {
  const { json } = parseArgs({ options: { json: { type: "string" } } }).values;
  await initialize();
  const { backboneParameters, headParameters } = describeMethods((device) =>
    randomClassifier(config, { target: { labels: ["a", "b"] }, device })
  );
  const rows = named.map(rowOf);
  const result = { ...await describeOrigin(), model: "bert-large", backboneParameters, headParameters, rows };
  console.log(parametersTable(result));
  if (json !== undefined) writeResult(json, result);
}
