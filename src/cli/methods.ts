// `fewtune methods`: every method with what it is, what it can be told, and how much of a model it trains.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { describeMethods, type MethodTable } from "../methods/describe.ts";
import { weightDeclarations } from "../methods/registry.ts";
import { randomClassifier } from "../models/classifier.ts";
import { initialize } from "../native/load.ts";
import { configFlags, givenConfig, kebabCase } from "./config_flags.ts";
import { configChoices, namedConfig } from "./named_config.ts";
import { print } from "./output.ts";
import { showSetupProgress } from "./setup_progress.ts";
import { textTable } from "./text_table.ts";

const methodOptions = [
  ...(Object.keys(weightDeclarations) as (keyof typeof weightDeclarations)[]),
  "freezeLayers",
] as const;

/** The command `methods`. */
export function methodsCommand(): CommandUnknownOpts {
  const command = new Command("methods")
    .description("list the methods, and how many parameters of a model each trains")
    .option("--config <config>", `the model: ${configChoices}`, "bert-large")
    .option("--json", "print one JSON object")
    .action(async ({ config, json }) => {
      const fields = namedConfig(config);
      using setup = showSetupProgress();
      await initialize({ onProgress: setup.onProgress });
      const target = { labels: ["0", "1"] };
      const table = describeMethods((device) => randomClassifier(fields, { target, device }), givenConfig(command));
      print(
        json ? JSON.stringify({ config, ...table }) : [...methodLines(config, table), ...optionLines(table)].join("\n"),
      );
    });
  for (const flag of configFlags(...methodOptions)) command.addOption(flag);
  return command;
}

function methodLines(config: string, { backboneParameters, headParameters, methods }: MethodTable): string[] {
  const rows = methods.map(({ name, trainableParameters, share, savedParameters, savedBytes, summary }) => [
    ...[name, grouped(trainableParameters), share === null ? "" : percent(share), grouped(savedParameters)],
    ...[savedBytes === null ? "" : (savedBytes / 2 ** 20).toFixed(2), `  ${summary}`],
  ]);
  const width = Math.max(...rows.map((row) => row.at(-1)?.length ?? 0));
  const table = textTable(
    ["method", "trained", "share", "saved", "saved MiB", "  what it is".padEnd(width)],
    rows.map((row) => row.map((cell, column) => column === 5 ? cell.padEnd(width) : cell)),
  );
  return [
    ...table.map((line) => line.trimEnd()),
    "",
    `${config} has ${grouped(backboneParameters)} parameters; a head of two labels has ${grouped(headParameters)}, ` +
    "which always train and are not counted",
  ];
}

function optionLines({ methods }: MethodTable): string[] {
  const flags = methods.flatMap(({ options }) =>
    Object.entries(options).map(([name, text]) => [`--${kebabCase(name)}`, text])
  );
  const width = Math.max(...flags.map(([flag]) => flag?.length ?? 0)) + 2;
  return ["", ...flags.map(([flag = "", text]) => flag.padEnd(width) + text)];
}

function grouped(value: number | null): string {
  return value === null ? "" : value.toLocaleString("en");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(share < 0.01 ? 3 : 2)} %`;
}
