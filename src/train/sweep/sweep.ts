// A sweep: every combination of a grid of options is a fine-tuning run, one after the other.

import { join } from "node:path";
import { OptionError } from "../../errors.ts";
import { initialize } from "../../native/load.ts";
import { faultOf } from "../../options/check.ts";
import { requireComplete } from "../config/layers.ts";
import { runOptions, type TrainConfig } from "../config/options.ts";
import { absolutePaths } from "../config/paths.ts";
import { resolve } from "../config/resolve.ts";
import { fineTune, type FineTuneEvent, type FineTuneOptions } from "../fine_tune.ts";
import { type Versions, versions } from "../training_record.ts";
import { checkGrid, type Combination, combinations, type Grid } from "./grid.ts";
import { absoluteGrid } from "./layers.ts";
import { runOf, type SweepRun } from "./runs.ts";
import { decidingMetrics, summarize, type SweepSummary } from "./summary.ts";
import { checkSweepFolder, lockSweepFolder, type SweepIdentity, writeSweepFile } from "./sweep_folder.ts";

/** What a sweep varies, and what its runs share: the options of {@linkcode fineTune}. */
export interface SweepOptions extends Omit<FineTuneOptions, "model" | "resume" | "onEvent"> {
  /** As {@linkcode fineTune} has it, unless it varies. */
  readonly model?: string | undefined;
  readonly grid: Grid;
  /** The folder for the runs' folders and sweep.json; where it is there, it holds this sweep, which goes on. */
  readonly outputDir: string;
  readonly onEvent?: (event: SweepEvent) => void;
}

/** What a sweep tells while it goes on: its runs, and between a run's start and end what that tells. */
export type SweepEvent = RunEvent | FineTuneEvent;

/** A run starts, has ended, or was done before. */
export interface RunEvent {
  readonly type: "run";
  readonly phase: "start" | "end" | "skip";
  readonly run: SweepRun;
  /** From 1, of so many. */
  readonly number: number;
  readonly total: number;
}

/** What came out of a sweep, as in its sweep.json. */
export interface SweepResult extends SweepIdentity {
  readonly versions: Versions;
  /** When it was written: ISO 8601. */
  readonly date: string;
  /** The metrics by whose mean the best combination is chosen; none as long as no run is done. */
  readonly deciding: readonly string[];
  readonly runs: readonly SweepRun[];
  readonly summary: readonly SweepSummary[];
}

/**
 * Runs {@linkcode fineTune} for every combination of the grid's values, into a folder each. What is done is not run
 * again, a run that was stopped goes on, and one that failed is tried again: the same call goes on with a sweep. A run
 * that fails is recorded, and the others are run. When the signal is aborted, the run at hand stops as fineTune does,
 * and no other starts.
 *
 * @throws {OptionError} before the first run, when an option, a value of the grid or a combination cannot be, or the
 * folder holds another sweep
 * @throws {CheckpointError} when the folder cannot be written, or holds something else
 * @throws {SetupError} when LibTorch is not there
 *
 * @example
 * ```ts ignore
 * const { summary } = await sweep({
 *   ...{ model: "minilm", train: "train.tsv", dev: "dev.tsv", outputDir: "out/sweep" },
 *   grid: { learningRate: [5e-5, 3e-5], seed: [1, 2, 3] },
 * });
 * console.log(summary.find(({ isBest }) => isBest)?.options);
 * ```
 */
export async function sweep(options: SweepOptions): Promise<SweepResult> {
  const runs = planSweep(options);
  const { outputDir, onEvent, signal } = options;
  using _lock = lockSweepFolder(outputDir);
  await initialize({ device: options.device, ...(options.onSetup && { onProgress: options.onSetup }) });
  for (const [index, planned] of runs.entries()) {
    if (signal?.aborted) break;
    const tell = (phase: RunEvent["phase"], run: SweepRun): void =>
      onEvent?.({ type: "run", phase, run, number: index + 1, total: runs.length });
    if (planned.state === "done") {
      tell("skip", planned);
      continue;
    }
    writeSweepFile(outputDir, resultOf(options, runs));
    tell("start", planned);
    const run = await execute(planned, options);
    runs[index] = run;
    tell("end", run);
  }
  const result = resultOf(options, runs);
  writeSweepFile(outputDir, result);
  return result;
}

/**
 * The runs of a sweep as they stand, after all that can be refused without running them; nothing is run or written.
 * Throws {@linkcode OptionError} and {@linkcode CheckpointError} as {@linkcode sweep}.
 */
export function planSweep(options: SweepOptions): SweepRun[] {
  const { outputDir } = options;
  const shared = sharedOptions(options);
  checkGrid(options.grid, shared);
  for (const combination of combinations(options.grid)) {
    const fault = faultOf(runOptions, { ...shared, ...combination });
    if (fault) throw new OptionError(fault.message);
    resolve(optionsOf(options, combination));
  }
  const identity = identityOf(options);
  checkSweepFolder(outputDir, identity);
  return combinations(identity.grid).map((combination) => runOf(combination, outputDir));
}

async function execute({ name, options: combination, state }: SweepRun, options: SweepOptions): Promise<SweepRun> {
  const { outputDir, signal, onSetup, onEvent } = options;
  try {
    await fineTune({
      ...optionsOf(options, combination),
      ...{ outputDir: join(outputDir, name), resume: state === "begun" },
      ...(signal && { signal }),
      ...(onSetup && { onSetup }),
      ...(onEvent && { onEvent }),
    });
    return runOf(combination, outputDir);
  } catch (error) {
    const run = runOf(combination, outputDir);
    if (signal?.aborted) return run;
    return { ...run, state: "failed", error: error instanceof Error ? error.message : String(error) };
  }
}

function optionsOf(options: SweepOptions, combination: Combination): FineTuneOptions {
  return requireComplete({ ...sharedOptions(options), ...combination, outputDir: options.outputDir });
}

// Paths are absolute, so that the same sweep can go on from another working directory.
function identityOf(options: SweepOptions): SweepIdentity {
  const here = Deno.cwd();
  return { options: absolutePaths(sharedOptions(options), here), grid: absoluteGrid(options.grid, here) };
}

function resultOf(options: SweepOptions, runs: readonly SweepRun[]): SweepResult {
  const result = runs.find(({ state }) => state === "done")?.result;
  const deciding = result ? decidingMetrics(sharedOptions(options), result) : [];
  return {
    ...{ versions: versions(), date: new Date().toISOString() },
    ...identityOf(options),
    ...{ deciding, runs, summary: summarize(runs, deciding) },
  };
}

// An option that is undefined was not given.
function sharedOptions(
  { grid: _grid, outputDir: _folder, signal: _signal, onEvent: _onEvent, onSetup: _onSetup, ...shared }: SweepOptions,
): Omit<TrainConfig, "outputDir"> {
  return Object.fromEntries(Object.entries(shared).filter(([, value]) => value !== undefined));
}
