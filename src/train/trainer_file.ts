// trainer.safetensors: what the next steps depend on beside the weights: the optimizer's state, the
// generators', weights that the adapter's file has no exact values of, and those of the best evaluation.

import { CheckpointError } from "../errors.ts";
import { openSafetensors } from "../files/safetensors.ts";
import { type SafetensorsSource, writeSafetensors } from "../files/safetensors_write.ts";
import { list, reasonOf } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { readParameter } from "../models/read_parameter.ts";
import { parameterSources } from "../models/save.ts";
import type { Generator, Tensor } from "../torch/mod.ts";
import type { AdamW } from "./adamw.ts";
import type { WeightsCopy } from "./best_weights.ts";

/** What a stepper's next steps depend on, beside the weights. */
export interface StepperParts {
  /** Those that are trained, by their keys. */
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** Those of them that the file of weights has in a form of fewer bytes. */
  readonly compact: ReadonlyMap<string, Tensor>;
  readonly optimizer: AdamW;
  readonly generators: Readonly<Record<string, Generator>>;
}

/** What the file holds the state of. */
export interface TrainerParts extends StepperParts {
  /** The weights of the best evaluation, where a run keeps them. */
  readonly best: WeightsCopy | null;
}

/**
 * Writes the file. A parameter that had no step yet has no state there.
 *
 * @throws {CheckpointError} when it cannot be written
 */
export function writeTrainerFile(path: string, parts: TrainerParts): void {
  const { parameters, optimizer, generators, best } = parts;
  const updated = [...parameters].filter(([, parameter]) => optimizer.states.has(parameter)).map(([key]) => key);
  const states = Object.entries(generators).map(([name, generator]): SafetensorsSource => {
    const bytes = generator.state();
    return { name: generatorName(name), dtype: "U8", shape: [bytes.length], bytes: () => bytes };
  });
  const tensors = new Map([...compactTensors(parts), ...optimizerTensors(parts, updated), ...bestTensors(best)]);
  writeSafetensors(path, [...parameterSources(tensors), ...states]);
}

/**
 * Sets the parts to what the file holds, to the bit.
 *
 * @throws {CheckpointError} when it is damaged, or of other parts
 */
export function readTrainerFile(path: string, parts: TrainerParts): void {
  using file = openSafetensors(path);
  const updated = [...parts.parameters.keys()].filter((key) => file.tensors.has(optimizerName("steps", key)));
  if ([...file.tensors.keys()].some((name) => name.startsWith(bestName("")))) parts.best?.keep();
  const tensors = new Map([...compactTensors(parts), ...optimizerTensors(parts, updated), ...bestTensors(parts.best)]);
  const generators = new Map(Object.entries(parts.generators).map(([name, each]) => [generatorName(name), each]));
  refuseOthers(file, tensors, generators);
  for (const [name, tensor] of tensors) readParameter(file, name, tensor);
  for (const [name, generator] of generators) setState(file, name, generator);
}

function optimizerName(what: string, key: string): string {
  return `optimizer.${what}.${key}`;
}

function bestName(key: string): string {
  return `best.${key}`;
}

function compactTensors({ compact }: TrainerParts): [string, Tensor][] {
  return [...compact].map(([key, tensor]) => [`parameter.${key}`, tensor]);
}

function generatorName(name: string): string {
  return `generator.${name}`;
}

// The tensors of the state of some parameters, which is made where there is none.
function optimizerTensors({ parameters, optimizer }: TrainerParts, keys: readonly string[]): Map<string, Tensor> {
  return new Map(keys.flatMap((key) => {
    const parameter = parameters.get(key);
    const state: Record<string, Tensor> = parameter ? { ...optimizer.stateOf(parameter) } : {};
    return Object.entries(state).map(([what, tensor]) => [optimizerName(what, key), tensor] as const);
  }));
}

function bestTensors(best: WeightsCopy | null): [string, Tensor][] {
  return [...best?.copies ?? []].map(([key, tensor]) => [bestName(key), tensor]);
}

function refuseOthers(
  file: WeightsFile,
  tensors: ReadonlyMap<string, Tensor>,
  generators: ReadonlyMap<string, Generator>,
): void {
  const missing = [...tensors.keys(), ...generators.keys()].filter((name) => !file.tensors.has(name));
  const unexpected = [...file.tensors.keys()].filter((name) => !tensors.has(name) && !generators.has(name));
  const misshapen = [...tensors].filter(([name, { shape }]) => file.tensors.get(name)?.shape.join() !== shape.join());
  const wrong = [...missing, ...unexpected, ...misshapen.map(([name]) => name)];
  if (wrong.length > 0) {
    throw new CheckpointError(`${file.path} is of another model or another trainer: ${list(wrong)}`);
  }
}

function setState(file: WeightsFile, name: string, generator: Generator): void {
  const bytes = new Uint8Array(file.tensors.get(name)?.byteLength ?? 0);
  file.readInto(name, bytes);
  try {
    generator.setState(bytes);
  } catch (cause) {
    throw new CheckpointError(`${file.path}: ${name} is no generator's state (${reasonOf(cause)})`, { cause });
  }
}
