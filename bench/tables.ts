// Writes what was measured as tables into the marked places of README.md and bench/README.md.

import type { SpamDemoResult } from "../src/experiments/spam_demo.ts";
import { boxedCallTable } from "./boxed_call.ts";
import { dataShareTables } from "./data_share.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { titleOf } from "./contestants.ts";
import { glueTable } from "./glue.ts";
import { type GrowthResult, growthTable, paperTable } from "./growth.ts";
import { loadTable } from "./load.ts";
import { shown } from "./picture.ts";
import { methodsTable } from "./methods.ts";
import { parametersTable } from "./parameters.ts";
import { policiesTable } from "./policies.ts";
import { type Origin, readResult, type StepResult } from "./results.ts";
import { stepTable } from "./step.ts";
import { targetTable } from "./targets.ts";

const notMeasured = "_Not measured yet._";

// By the name in the marks: <!-- begin NAME --> and <!-- end NAME -->.
const tables: Readonly<Record<string, () => string>> = {
  boxed_call: () => describe(readResult("boxed_call"), boxedCallTable),
  step_bert_base: () => describe(readResult("step_bert_base"), stepTable),
  step_cola: () => describe(readResult("step_cola"), stepTable),
  targets: () => describe(readResult("step_bert_base"), targetTable),
  growth_batch_size: () => growthOf((growth) => growthTable(growth, "batchSize")),
  growth_length: () => growthOf((growth) => growthTable(growth, "length")),
  growth_k: () => growthOf((growth) => growthTable(growth, "k")),
  growth_depth: () => describe(readResult("growth"), (growth) => growthTable(growth, "depth")),
  growth_paper: () => growthOf(paperTable),
  load: () => describe(readResult("load"), loadTable),
  glue: () => describe(readResult("glue"), glueTable),
  data_share: () => describe(readResult("data_share"), dataShareTables),
  policies: () => describe(readResult("policies"), policiesTable),
  parameters: () => describe(readResult("parameters"), parametersTable),
  methods: () => describe(readResult("methods"), methodsTable),
  memory: () => describe(readResult("step_bert_base"), memoryTable),
  demo: () => {
    const demo = readResult("demo");
    return demo === null ? notMeasured : demoTable(demo);
  },
};

function describe<Result extends Origin>(result: Result | null, table: (result: Result) => string): string {
  return result === null ? notMeasured : `${table(result)}\n\n${origin(result)}`;
}

function origin({ date, machine, versions }: Origin): string {
  const sets = (machine.instructionSets ?? []).map((set) => set.toUpperCase()).join(", ");
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(", ");
  return `Measured on ${date.slice(0, 10)}: ${
    machine.cpu ?? machine.arch
  }, ${machine.cores} cores (${sets}); ${software}.`;
}

// When and where growth was measured stands below the last of its tables.
function growthOf(table: (growth: GrowthResult) => string): string {
  const growth = readResult("growth");
  return growth === null ? notMeasured : table(growth);
}

function memoryTable({ contestants }: StepResult): string {
  return markdownTable(
    ["Fine-tuning", "Activations, MiB", "Peak of a step, MiB", "Time of a step, relative"],
    contestants.filter(({ name }) => shown.includes(name)).map((
      { name, activationBytes, peakBytes, relativeTime },
    ) => [titleOf(name), mebibytes(activationBytes), mebibytes(peakBytes), relativeTime.toFixed(2)]),
  );
}

function demoTable(demo: SpamDemoResult): string {
  return markdownTable(["", "Selective, k = 16", "Full"], [
    ["Peak memory, MiB", mebibytes(demo.peakBytes), mebibytes(demo.fullStepPeakBytes)],
    ["Time of a step on the largest batch, s", demo.stepSeconds.toFixed(2), demo.fullStepSeconds.toFixed(2)],
    ["Test accuracy", demo.testAccuracy.toFixed(4), ""],
    ["Test F1 of spam", demo.testF1.toFixed(4), ""],
  ]) +
    `\n\n${demo.steps} steps in ${
      demo.seconds.toFixed(0)
    } seconds on ${demo.threads} threads. Always saying the more ` +
    `frequent label would give an accuracy of ${demo.majorityAccuracy.toFixed(4)}.`;
}

/** Fills every marked place of a Markdown text. */
export function fillTables(text: string): string {
  return text.replaceAll(
    /(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)/gs,
    (_, begin: string, name: string, end: string) => {
      const table = tables[name];
      if (table === undefined) throw new Error(`no table is called ${name}: ${Object.keys(tables).join(", ")} are`);
      return `${begin}\n${table()}\n\n${end}`;
    },
  );
}

/** Fills the tables in the files and formats them. */
export async function writeTables(): Promise<void> {
  const files = ["../README.md", "README.md", "../docs/methods.md"].map((name) =>
    new URL(name, import.meta.url).pathname
  );
  for (const file of files) Deno.writeTextFileSync(file, fillTables(Deno.readTextFileSync(file)));
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["fmt", "--quiet", ...files] }).output();
  if (!success) throw new Error("deno fmt failed");
}

if (import.meta.main) await writeTables();
