// `fewtune sweep`: trains for every combination of some options' values, one run after the other.

import { Command, type CommandUnknownOpts, InvalidArgumentError, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { TrainingError } from "../errors.ts";
import { nearestName } from "../options/nearest.ts";
import { requireComplete } from "../train/config/layers.ts";
import { runOptions } from "../train/config/options.ts";
import { presetOf } from "../train/presets.ts";
import { combinations, type Grid } from "../train/sweep/grid.ts";
import { mergeLayers, readSweepFile, type SweepLayer } from "../train/sweep/layers.ts";
import type { SweepRun } from "../train/sweep/runs.ts";
import { planSweep, type RunEvent, sweep, type SweepOptions, type SweepResult } from "../train/sweep/sweep.ts";
import { allConfigFlags, givenConfig, presetFlag } from "./config_flags.ts";
import { InterruptedError, listenToInterrupts } from "./interrupt.ts";
import { reader } from "./option_values.ts";
import { print } from "./output.ts";
import { showSetupProgress } from "./setup_progress.ts";
import { flagNames } from "./train.ts";
import { planTable, sweepTable } from "./sweep_table.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `sweep`. */
export function sweepCommand(): CommandUnknownOpts {
  const command = new Command("sweep")
    .description("train for every combination of some options' values, into a folder each; the same command goes on")
    .option("--config <file>", "options from a .json or .yaml file, with a key grid; flags count before it")
    .addOption(presetFlag)
    .addOption(
      new Option("--grid <option=values>", "values to try of an option: learning-rate=5e-5,3e-5; again for another")
        .argParser(withGrid).default({} as Grid, "what the file or the preset has"),
    )
    .option("--dry-run", "list the runs, and do nothing else")
    .option("--json", "print one JSON object")
    .option("--quiet", "show no progress")
    .action(async ({ config, preset, grid, dryRun, json = false, quiet = false }) => {
      const flags = { options: givenConfig(command), grid };
      const options = sweepOptions(config === undefined ? flags : mergeLayers(readSweepFile(config), flags), preset);
      if (dryRun) print(shownPlan(planSweep(options), json));
      else await run(options, json, quiet);
    });
  for (const flag of allConfigFlags()) command.addOption(flag);
  return command;
}

function sweepOptions(said: SweepLayer, preset: string | undefined): SweepOptions {
  const { options, grid } = preset === undefined ? said : mergeLayers(presetOf(preset, said.options.glue), said);
  const { outputDir } = requireComplete({ ...combinations(grid)[0], ...options }, flagNames);
  return { ...options, outputDir, grid };
}

// Reads one `--grid`, after those before it.
function withGrid(text: string, before: Grid): Grid {
  const [, written = "", values = ""] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  const name = written.trim().replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  const schema = Object.entries(runOptions).find(([option]) => option === name)?.[1];
  if (written === "") throw new InvalidArgumentError("It has to be an option with values: learning-rate=5e-5,3e-5.");
  if (schema === undefined) throw new InvalidArgumentError(unknownOption(written, name));
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`The values of ${written} are there twice.`);
  return { ...before, [name]: values.split(",").map((value) => reader<unknown>(schema)(value.trim())) };
}

function unknownOption(written: string, name: string): string {
  const near = nearestName(name, Object.keys(runOptions));
  return `There is no option ${written}${near === undefined ? "" : `: did you mean ${near}?`}`;
}

async function run(options: SweepOptions, json: boolean, quiet: boolean): Promise<void> {
  using setup = showSetupProgress();
  using progress = showTrainingProgress(quiet);
  using interrupts = listenToInterrupts(() => progress.note("finishing the step; once more to stop at once"));
  const result = await sweep({
    ...options,
    signal: interrupts.signal,
    onEvent: (event) => event.type === "run" ? progress.note(runText(event)) : progress.onEvent(event),
    ...(!quiet && { onSetup: setup.onProgress }),
  });
  progress[Symbol.dispose]();
  const left = result.runs.filter(({ state }) => state === "begun" || state === "to do");
  if (interrupts.exitCode !== 0 && left.length > 0) {
    const message = `interrupted with ${left.length} of ${result.runs.length} runs to go: the same command goes on`;
    throw new InterruptedError(message, interrupts.exitCode);
  }
  print(json ? JSON.stringify(result) : sweepTable(result));
  refuseFailures(result, options.outputDir);
}

function runText({ phase, run: { name, state, error }, number, total }: RunEvent): string {
  const which = `run ${number} of ${total}, ${name}`;
  if (phase === "skip") return `${which}: was done before`;
  if (phase === "start") return `${which}: ${state === "begun" ? "goes on" : "begins"}`;
  return `${which}: ${error === null ? state : `failed: ${error}`}`;
}

function shownPlan(runs: readonly SweepRun[], json: boolean): string {
  return json
    ? JSON.stringify({ runs: runs.map(({ name, options, state }) => ({ name, options, state })) })
    : planTable(runs);
}

function refuseFailures({ runs }: SweepResult, folder: string): void {
  const failed = runs.filter(({ state }) => state === "failed");
  const [first] = failed;
  if (first === undefined) return;
  throw new TrainingError(
    `${failed.length} of ${runs.length} runs failed in ${folder}; ${first.name}: ${first.error}`,
  );
}
