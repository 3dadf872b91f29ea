// What a run's options come to: every single value checked, and a value for each that is not given.

import { OptionError } from "../../errors.ts";
import { checkMethod } from "../../methods/apply.ts";
import type { Method } from "../../methods/contract.ts";
import { checkGiven } from "../../options/check.ts";
import type { PositionPolicy } from "../../selective/policies.ts";
import type { SelectionSize } from "../../selective/positions.ts";
import { glueSettings } from "../glue_data.ts";
import { checkTrainOptions } from "../train_options.ts";
import { defaults, type LooseTrainConfig, runOptions, type TrainConfig } from "./options.ts";

/** The method of a run, and its options with all defaults that depend neither on data nor on the model. */
export interface Resolved {
  readonly method: Method;
  readonly settings: TrainConfig & typeof defaults & { readonly k: SelectionSize };
}

/**
 * Checks options and fills them up. What is no option of a configuration is left out.
 *
 * @throws {OptionError} when one has a value that cannot be, or two contradict each other
 */
export function resolve(options: LooseTrainConfig): Resolved {
  checkGiven(runOptions, options);
  const said = given(options);
  const method = checkMethod(said.method ?? defaults.method, said);
  const settings = {
    ...defaults,
    ...(said.warmupSteps === undefined && { warmupRatio: 0.1 }),
    ...(said.maxGradNorm !== undefined && { clipping: "global" as const }),
    ...given(Object.assign({}, ...method.weights.map(({ defaults }) => defaults))),
    ...said,
    columns: { ...defaults.columns, ...said.columns },
    ...{ method: method.name, k: selectionSize(method, said.k), ...policyOf(method, said.positions) },
    ...glueSettings(said),
  };
  checkTrainOptions(settings);
  return { method, settings };
}

/** The positions that carry gradients by a method. Throws {@linkcode OptionError} for a k where there is none. */
export function selectionSize({ name, isSelective }: Method, k: SelectionSize | undefined): SelectionSize {
  if (isSelective) return k ?? 16;
  if (k === undefined || k === "all") return "all";
  throw new OptionError(
    `k is ${k}, but the method ${name} has no k: every position carries gradients, unless it is selective`,
  );
}

// Which positions are selected. Throws OptionError for a policy where none are.
function policyOf(
  { name, isSelective }: Method,
  positions: PositionPolicy | undefined,
): Pick<TrainConfig, "positions"> {
  if (isSelective) return { positions: positions ?? "random" };
  if (positions === undefined) return {};
  throw new OptionError(
    `positions is ${positions}, but the method ${name} selects none: every position carries gradients, unless it is selective`,
  );
}

// An option that is undefined was not given.
function given(options: LooseTrainConfig): TrainConfig {
  const known = Object.entries(options).filter(([name, value]) => name in runOptions && value !== undefined);
  return Object.fromEntries(known);
}
