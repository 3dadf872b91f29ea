// What the benchmarks measured, as it is kept in bench/results: one JSON file for each run, with when and where.

import { dirname } from "node:path";
import type { ContestantName } from "./contestants.ts";
import type { GlueResult } from "./glue.ts";
import type { GrowthResult } from "./growth.ts";
import type { Lengths } from "./lengths.ts";
import type { MethodsResult } from "./methods.ts";
import type { ParametersResult } from "./parameters.ts";
import type { ModelName } from "./model_sizes.ts";
import type { PoliciesResult } from "./policies.ts";
import type { SpamDemoResult } from "../src/experiments/spam_demo.ts";
import { findLibTorch } from "../src/native/libtorch.ts";
import { describeMachine, type Machine } from "../src/native/machine.ts";
import { version } from "../src/version.ts";

export { median } from "../src/metrics/median.ts";

/** When, where and with what something was measured. */
export interface Origin {
  /** As in ISO 8601. */
  readonly date: string;
  readonly machine: Machine;
  /** Of Fewtune, Deno, LibTorch, and of Python's packages when they took part. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Microseconds of a call, medians over the rounds. */
export interface BoxedCallResult extends Origin {
  readonly rounds: number;
  readonly operators: readonly {
    readonly operator: string;
    readonly deno: number;
    /** Null when no Python was given. */
    readonly python: number | null;
  }[];
}

/** Time and memory of a training step. */
export interface StepResult extends Origin {
  readonly settings: StepSettings;
  /** Whose time the others' are relative to. */
  readonly reference: ContestantName;
  readonly contestants: readonly ContestantResult[];
}

/** What was measured. */
export interface StepSettings {
  readonly model: ModelName;
  readonly batchSize: number;
  readonly lengths: Lengths;
  readonly k: number;
  readonly steps: number;
  readonly threads: number;
}

/** One way to train. */
export interface ContestantResult {
  readonly name: ContestantName;
  /** Added by the forward pass and live at its end. */
  readonly activationBytes: number;
  /** The most that was live in a step after the first: weights, gradients and optimizer state included. */
  readonly peakBytes: number;
  /** Live between two steps: weights and optimizer state. */
  readonly restingBytes: number;
  /** The median over the steps. */
  readonly stepSeconds: number;
  /** Its parts, also medians. */
  readonly parts: { readonly forward: number; readonly backward: number; readonly optimizer: number };
  /** The median over the rounds of the step's time relative to the reference's in the same round. */
  readonly relativeTime: number;
}

/** One load of a checkpoint in a process of its own. */
export interface MeasuredLoad {
  readonly seconds: number;
  /** Of all threads. */
  readonly cpuSeconds: number;
  /** The most that the process had resident, less what it had before. */
  readonly peakBytes: number;
}

/** Loading a checkpoint: medians over the rounds. */
export interface LoadResult extends Origin {
  readonly rounds: number;
  readonly parameters: number;
  /** Of all weights in their files. */
  readonly fileBytes: number;
  readonly contestants: readonly (MeasuredLoad & {
    readonly name: "fewtune" | "safetensors" | "transformers";
    readonly dtype: "float16" | "float32";
    /** Of the parameters that were read into. */
    readonly weightBytes: number;
  })[];
}

/** What data costs in a training step; milliseconds are means. */
export interface TrainingShare {
  readonly k: number | "all";
  readonly batchSize: number;
  /** From the step's begin to its end, choosing positions and packing the batch (`batchMs`) included. */
  readonly stepMs: number;
  readonly batchMs: number;
  /** From a step's end to the next one's begin: events, and what else the program has to do. */
  readonly betweenMs: number;
  /** A step's part of the shuffle that its epoch begins with. */
  readonly shuffleMs: number;
  /** All of these but the step itself, to the time from a step to the next. */
  readonly share: number;
}

/** What data costs. */
export interface DataShareResult extends Origin {
  readonly settings: {
    readonly model: string;
    readonly task: string;
    readonly steps: number;
    readonly threads: number;
    readonly maxLength: number;
  };
  readonly training: readonly TrainingShare[];
  readonly evaluation: {
    readonly examples: number;
    readonly batchSize: number;
    readonly ms: number;
    /** Packing all batches. */
    readonly packMs: number;
    readonly share: number;
  };
  readonly tokenizing: readonly {
    readonly name: string;
    readonly examples: number;
    readonly tokenizeMs: number;
    /** Finding the same in the cache. */
    readonly cachedMs: number;
  }[];
}

/** The results by name; `demo` is the result.json that the demo writes beside its model. */
export interface Results {
  readonly boxed_call: BoxedCallResult;
  readonly step_bert_base: StepResult;
  readonly step_cola: StepResult;
  readonly growth: GrowthResult;
  readonly load: LoadResult;
  readonly glue: GlueResult;
  readonly data_share: DataShareResult;
  readonly policies: PoliciesResult;
  readonly methods: MethodsResult;
  readonly parameters: ParametersResult;
  readonly demo: SpamDemoResult;
}

/** Where a result is kept. */
export function resultFile(name: keyof Results): URL {
  return new URL(`results/${name}.json`, import.meta.url);
}

/** A result that was measured, or null. */
export function readResult<Name extends keyof Results>(name: Name): Results[Name] | null {
  try {
    return JSON.parse(Deno.readTextFileSync(resultFile(name))) as Results[Name];
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

/** Writes a result as indented JSON, making the folder where there is none. */
export function writeResult(path: string, result: Results[keyof Results]): void {
  Deno.mkdirSync(dirname(path), { recursive: true });
  Deno.writeTextFileSync(path, JSON.stringify(result, null, 2) + "\n");
}

/** Describes this machine and what is installed on it. */
export async function describeOrigin(pythonVersions: Readonly<Record<string, string>> = {}): Promise<Origin> {
  const libtorch = (await findLibTorch())?.version ?? "none";
  return {
    date: new Date().toISOString(),
    machine: await describeMachine(),
    versions: { fewtune: version, deno: Deno.version.deno, libtorch, ...pythonVersions },
  };
}
