// The tiny BERT of the fixtures: its checkpoint, its sequences, and what transformers computes of them.

import {
  backward,
  type Classifier,
  type DType,
  forward,
  item,
  loadClassifier,
  lossOf,
  namedParameters,
  packBatch,
  type PackedBatch,
  packingFor,
  packMaskedBatch,
  type Pooling,
  scope,
  type Sequence,
  toNumbers,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { allPositions } from "../../src/selective/positions.ts";

const fixtures = new URL("../fixtures/", import.meta.url).pathname;

/** The folder of the tiny BERT with three labels. */
export const smallBertFolder = `${fixtures}small_bert`;

/** One case of `cases.json`; `selected` is null for full fine-tuning. */
export interface Case {
  readonly name: string;
  readonly checkpoint: string;
  readonly pooling: Pooling;
  readonly selected: readonly (readonly number[])[] | null;
  readonly labels: readonly number[];
  readonly gradients: string;
  readonly loss64: number;
  readonly logits64: readonly (readonly number[])[];
}

/** The sequences of all cases, and the cases. */
export const { sequences, cases }: { readonly sequences: readonly Sequence[]; readonly cases: readonly Case[] } = JSON
  .parse(Deno.readTextFileSync(`${smallBertFolder}/cases.json`));

/** Reads a fixture in JSON. */
export function readFixture<T>(name: string): T {
  return JSON.parse(Deno.readTextFileSync(fixtures + name));
}

/** The model of a case. */
export function loadCase({ checkpoint, pooling }: Case, dtype: DType = "float32"): Promise<Classifier> {
  return loadClassifier(fixtures + checkpoint, { pooling, dtype });
}

/** The reference gradients of a case by the model's keys: the reference computes the head on the mean with the standard one's parameters. */
export function referenceGradients(test: Case, keys: Iterable<string>): Map<string, number[]> {
  using file = openSafetensors(`${smallBertFolder}/${test.gradients}`);
  return new Map([...keys].map((key) => {
    const name = key.replace("mean_head.dense", "bert.pooler.dense").replace("mean_head.out_proj", "classifier");
    const numbers = new Float32Array((file.tensors.get(name)?.byteLength ?? 0) / 4);
    file.readInto(name, new Uint8Array(numbers.buffer));
    return [key, [...numbers]];
  }));
}

/** How a batch runs: which rows have gradients, and in how large blocks. */
export interface Run {
  readonly mode?: "split" | "masked";
  readonly rowsPerBlock?: number;
}

/** Loss, logits and the gradient of every parameter, dropout off. */
export interface Computed {
  readonly loss: number;
  readonly logits: readonly number[];
  readonly gradients: ReadonlyMap<string, number[]>;
}

/** Packs sequences; `selected` null selects every position. */
export function pack(
  { model }: Classifier,
  batch: readonly Sequence[],
  selected: readonly (readonly number[])[] | null,
  { mode = "split", ...options }: Run = {},
): PackedBatch {
  const packer = mode === "split" ? packBatch : packMaskedBatch;
  return packer(batch, {
    ...options,
    selected: selected ?? allPositions(batch.map(({ inputIds }) => inputIds.length)),
    ...packingFor(model),
  });
}

/** Runs a batch forward and backward as a step does, and takes the gradients away from the parameters. */
export function compute(
  classifier: Classifier,
  batch: readonly Sequence[],
  labels: readonly number[],
  selected: readonly (readonly number[])[] | null,
  run: Run = {},
): Computed {
  return scope(() => {
    const derivations = (classifier.adaptation?.insertions ?? []).flatMap(({ derivation }) => derivation ?? []);
    for (const derivation of derivations) derivation.refresh(null);
    const logits = forward(classifier.model, pack(classifier, batch, selected, run), null);
    const loss = lossOf(logits, labels, classifier.target);
    backward(loss);
    for (const derivation of derivations) derivation.backward();
    return { loss: item(loss), logits: toNumbers(logits), gradients: takeGradients(classifier) };
  });
}

/** The gradients by key, zeros where there is none; none is left at the parameters, nor at what trains beside them. */
export function takeGradients({ model, trained }: Classifier): Map<string, number[]> {
  const parameters = new Map([...namedParameters(model), ...trained]);
  return new Map([...parameters].map(([key, parameter]) => {
    using gradient = parameter.grad;
    const numbers = gradient === null ? new Array<number>(parameter.size).fill(0) : toNumbers(gradient);
    parameter.grad = null;
    return [key, numbers];
  }));
}
