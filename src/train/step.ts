// One optimizer step: the gradients of its examples, in micro-batches where that is asked, clipped, and the update.

import { OptionError, TrainingError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { type Derived, derivedOf } from "../models/derivations.ts";
import { partsOfSide } from "../models/side_network.ts";
import { compactPart } from "../methods/compact_form.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import type { DropoutRandom } from "../selective/attend.ts";
import { derivedBytes } from "../selective/derived_bytes.ts";
import { accumulateGradients, checkActivations } from "../selective/gradients.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import { logitRows } from "../selective/logit_rows.ts";
import { planActivations } from "../selective/plan.ts";
import { usualKeptStates } from "../selective/kept_states.ts";
import { allPositions, selectionCount } from "../selective/positions.ts";
import { choosePositions, type Selection } from "../selective/policies.ts";
import { empty, Generator, mulScalar, scope, type Tensor, toTypedArray, uniform_ } from "../torch/mod.ts";
import { AdamW } from "./adamw.ts";
import { clipGradNorm } from "./clip.ts";
import { answersAt, type Lesson, lessonsOf, type TrainingExample } from "./lesson.ts";
import { lossOf, type LossOptions, type LossSettings, lossWeight } from "./loss.ts";
import { phaseOfWork, type TellPiece } from "./pieces.ts";
import type { TrainOptions } from "./train_options.ts";
import type { StepperParts } from "./trainer_file.ts";

// Some of a step's sequences with their selected positions, the answer to each output, and what the whole step's answers
// weigh.
interface MicroBatch {
  readonly sequences: readonly Sequence[];
  readonly selected: readonly (readonly number[])[];
  /** What each selected position counts in the mean that the head reads; undefined: all the same. */
  readonly weights: readonly (readonly number[])[] | undefined;
  readonly answers: readonly number[];
  readonly stepWeight: number;
}

/** What a step gave. */
export interface StepOutcome {
  /** The mean over the step's examples, of a language model over their selected positions, by their weights. */
  readonly loss: number;
  /** Of all gradients together, before they were clipped; null with the optimizer in backward. */
  readonly gradientNorm: number | null;
}

/** Makes the steps of a training run. Dispose it to free the optimizer's state. */
export class Stepper implements Disposable {
  readonly #classifier: Classifier;
  readonly #options: Omit<TrainOptions, keyof ActivationPlan | keyof LossSettings>;
  readonly #trained: readonly Tensor[];
  readonly #optimizer: AdamW;
  readonly #positions: Generator;
  readonly #dropout: DropoutRandom;
  readonly #derived: readonly Derived[];
  /** Of the parameters that are derived for a step; null where none are. */
  readonly #derivations: Generator | null;
  readonly #plan: ActivationPlan;
  readonly #loss: LossOptions;
  #step = 0;

  /**
   * @param plan what is kept for backward, whatever the options say of it
   * @param loss how the loss counts, whatever the options say of it
   * @throws {OptionError} when no parameter is trained, or the optimizer in backward would update what is derived
   */
  constructor(
    classifier: Classifier,
    plan: ActivationPlan,
    options: Omit<TrainOptions, keyof ActivationPlan | keyof LossSettings>,
    loss: LossOptions = {},
  ) {
    const { seed = 0 } = options;
    const { device } = classifier.model.backbone;
    this.#classifier = classifier;
    this.#options = options;
    this.#trained = [...classifier.trained.values()];
    if (this.#trained.length === 0) {
      throw new OptionError("no parameter of the model requires a gradient: there is nothing to train");
    }
    this.#derived = derivedOf(classifier.adaptation?.insertions);
    if (this.#derived.length > 0 && options.optimizerInBackward) refuseInBackward(classifier);
    this.#plan = plan;
    this.#loss = loss;
    this.#optimizer = new AdamW(this.#trained, options);
    this.#positions = new Generator(seed);
    this.#dropout = { selected: new Generator(2 * seed + 1, device), rest: new Generator(2 * seed + 2, device) };
    this.#derivations = this.#derived.length > 0 ? new Generator(2 ** 31 + seed, device) : null;
  }

  /** The number of elements of all parameters that are trained. */
  get trainableParameters(): number {
    return this.#trained.reduce((sum, { size }) => sum + size, 0);
  }

  /** What the next steps depend on, beside the weights. */
  get parts(): StepperParts {
    const { selected, rest } = this.#dropout;
    const derivations = this.#derivations ? { derivations: this.#derivations } : {};
    return {
      parameters: this.#classifier.trained,
      compact: compactPart(this.#classifier.adaptation),
      optimizer: this.#optimizer,
      generators: { positions: this.#positions, "dropout.selected": selected, "dropout.rest": rest, ...derivations },
    };
  }

  /** Whether the model is what it is going to be at the end of a run: no phase of a method is to come that changes it. */
  get isSettled(): boolean {
    return this.#derived.every(({ derivation: { isSettled = true } }) => isSettled);
  }

  /** Tells methods of several phases how many steps of a run are done, before the next. */
  advance(done: number, total: number): void {
    for (const { derivation } of this.#derived) derivation.advance?.(done, total);
  }

  /** Goes on as after so many steps, whose state the parts have been given. */
  goOnAfter(step: number): void {
    this.#step = step;
  }

  /** The bytes of the optimizer's state. */
  get optimizerBytes(): number {
    return this.#optimizer.stateBytes;
  }

  /**
   * Makes a step.
   *
   * @param tell called at the end of each piece; the pieces are the whole step
   * @throws {TrainingError} when the loss or the norm of the gradients is not a finite number
   */
  run(examples: readonly TrainingExample[], learningRate: number, tell: TellPiece = () => {}): StepOutcome {
    this.#step++;
    try {
      this.#refresh(this.#derivations);
      const loss = this.accumulate(examples, learningRate, tell);
      for (const { derivation } of this.#derived) derivation.backward();
      const gradientNorm = this.#options.optimizerInBackward ? this.#clipRest() : this.#clip();
      this.#update(learningRate);
      this.#refresh(null);
      tell({ phase: "optimizerStep", layer: null });
      return { loss, gradientNorm };
    } catch (error) {
      const derived = this.#derived.flatMap(({ derivation }) => derivation.derived);
      for (const parameter of [...this.#trained, ...derived]) parameter.grad = null;
      this.#refresh(null);
      throw error;
    }
  }

  /**
   * The first half of a step: leaves its gradients at the parameters, or with the optimizer in backward uses them up on
   * the way, and returns the loss.
   */
  accumulate(examples: readonly TrainingExample[], learningRate = 0, tell: TellPiece = () => {}): number {
    const parts = this.#cut(examples);
    const losses = parts.map((part) => scope(() => this.#pass(part, learningRate, tell)));
    if (this.#options.positions === "importance") this.#correct(parts, learningRate, tell);
    return losses.reduce((sum, loss) => sum + loss, 0);
  }

  [Symbol.dispose](): void {
    this.#optimizer[Symbol.dispose]();
    for (const random of [this.#positions, this.#dropout.selected, this.#dropout.rest]) random.dispose();
    this.#derivations?.dispose();
  }

  #refresh(random: Generator | null): void {
    for (const { derivation } of this.#derived) derivation.refresh(random);
  }

  // Those first that have a learning rate of their own, then all that still have a gradient.
  #update(learningRate: number): void {
    const { learningRate: highest = 5e-5 } = this.#options;
    const own = this.#derived.flatMap(({ derivation: { learningRates = [] } }) => [...learningRates]);
    for (const [rate, some] of Map.groupBy(own, ([, rate]) => rate)) {
      this.#optimizer.step(rate * learningRate / highest, some.map(([parameter]) => parameter));
    }
    this.#optimizer.step(learningRate);
  }

  #cut(examples: readonly TrainingExample[]): MicroBatch[] {
    const { gradientAccumulation = 1 } = this.#options;
    const { target } = this.#classifier;
    const lessons = lessonsOf(examples, target);
    const sequences = lessons.map(({ sequence }) => sequence);
    const { positions: selected, weights } = this.#select(lessons);
    const answers = lessons.map((lesson, index) => answersAt(lesson, selected[index] ?? [], target));
    const stepWeight = lossWeight(answers.flat(), this.#loss);
    const size = Math.ceil(examples.length / gradientAccumulation);
    return Array.from({ length: Math.ceil(examples.length / size) }, (_, index) => {
      const cut = <Each>(all: readonly Each[]): Each[] => all.slice(index * size, (index + 1) * size);
      return {
        ...{ sequences: cut(sequences), selected: cut(selected), answers: cut(answers).flat(), stepWeight },
        weights: weights ? cut(weights) : undefined,
      };
    });
  }

  // Of one sequence, drawn of n, adds n times what its whole gradient has beyond the selected positions'. On the mean
  // that is what all of them lack, whatever was selected: the step's gradient is unbiased.
  #correct(parts: readonly MicroBatch[], learningRate: number, tell: TellPiece): void {
    const all = parts.flatMap((part) => part.sequences.map((_, index) => ({ part, index })));
    const drawn = all[below(all.length, this.#positions)];
    if (!drawn) return;
    const { part, index } = drawn;
    const one = <Each>(of: readonly Each[]): Each[] => of.slice(index, index + 1);
    const [sequences, answers] = [one(part.sequences), one(part.answers)];
    const whole = { sequences, answers, stepWeight: part.stepWeight, selected: wholeOf(sequences), weights: undefined };
    const selected = { ...whole, selected: one(part.selected), weights: part.weights && one(part.weights) };
    scope(() => this.#pass(whole, learningRate, tell, all.length));
    scope(() => this.#pass(selected, learningRate, tell, -all.length));
  }

  #select(lessons: readonly Lesson[]): Selection {
    const { k = 16, positions = "random", seed = 0 } = this.#options;
    const { model, target } = this.#classifier;
    return choosePositions(positions, {
      ...{ model, k, seed, random: this.#positions, sequences: lessons.map(({ sequence }) => sequence) },
      lossOf: (logits, from, count) => {
        const answers = lessons.slice(from, from + count).flatMap(({ answers }) => Array.from(answers));
        return lossOf(logits, answers, target, this.#loss);
      },
    });
  }

  // Forward and backward: leaves the gradients, times a factor, at the parameters, or uses them up on the way, and
  // returns the loss times that.
  #pass(micro: MicroBatch, learningRate: number, tell: TellPiece, factor = 1): number {
    const { sequences, selected, weights, answers, stepWeight } = micro;
    const { model, target } = this.#classifier;
    const { precision = "float32", optimizerInBackward = false } = this.#options;
    const batch = packBatch(sequences, { selected, weights, ...packingFor(model) });
    tell({ phase: "batch", layer: null });
    const loss = (logits: Tensor, from: number): Tensor => {
      const some = answers.slice(from, from + logits.length(0));
      const [mean, weight] = [lossOf(logits, some, target, this.#loss), lossWeight(some, this.#loss)];
      const share = factor * weight / stepWeight;
      return share === 1 ? mean : mulScalar(mean, share);
    };
    let layer = 0;
    const update = (part: Module): void => {
      this.#updatePart(part, learningRate);
      tell({ phase: "optimizerStep", layer });
    };
    return accumulateGradients(model, batch, loss, {
      random: this.#dropout,
      ...this.#plan,
      precision,
      rowsPerLogits: logitRows(model),
      onLoss: (value) => this.#requireFinite("the loss", value, true),
      onWork: (work) => {
        layer = work.layer;
        tell({ phase: phaseOfWork[work.kind], layer });
      },
      ...(optimizerInBackward && { onComplete: update }),
    });
  }

  #updatePart(part: Module, learningRate: number): void {
    const parameters = parametersOf(part);
    if (this.#options.maxGradNorm !== undefined) this.#clipTogether(parameters);
    this.#optimizer.step(learningRate, parameters);
  }

  // The norm of all gradients, before they are clipped where that is asked.
  #clip(): number {
    if (this.#options.clipping !== "layer") return this.#clipTogether(this.#trained);
    return Math.hypot(...partsOf(this.#classifier).map((part) => this.#clipTogether(part)));
  }

  // An optimizer in backward leaves the gradients of what methods put beside the parts of the model.
  #clipRest(): null {
    if (this.#options.maxGradNorm !== undefined) this.#clipTogether(this.#trained);
    return null;
  }

  #clipTogether(parameters: Iterable<Tensor>): number {
    const { maxGradNorm = Infinity, optimizerInBackward = false } = this.#options;
    const norm = clipGradNorm(parameters, maxGradNorm);
    this.#requireFinite("the norm of the gradients", norm, !optimizerInBackward);
    return norm;
  }

  #requireFinite(name: string, value: number, isBeforeUpdate: boolean): void {
    if (Number.isFinite(value)) return;
    const stopped = isBeforeUpdate ? "stopped before the weights changed" : "stopped while the weights changed";
    throw new TrainingError(`${name} is ${value} at step ${this.#step}: ${stopped}; try a lower learning rate`);
  }
}

function wholeOf(sequences: readonly Sequence[]): number[][] {
  return allPositions(sequences.map(({ inputIds }) => inputIds.length));
}

// A uniform whole number from 0 to `bound` - 1.
function below(bound: number, random: Generator): number {
  return scope(() => {
    const [number = 0] = toTypedArray(uniform_(empty([1], { dtype: "float64" }), 0, 1, { generator: random }));
    return Math.min(Math.floor(Number(number) * bound), bound - 1);
  });
}

/** What is kept for backward by these options, for a step whose sequences have these lengths, the longest first. */
export function planOf(
  { model, adaptation }: Classifier,
  lengths: readonly number[],
  options: TrainOptions,
): ActivationPlan {
  const { activations = "auto", k = 16, precision = "float32", optimizerInBackward = false } = options;
  const { gradientAccumulation = 1, memoryBudget = null, positions } = options;
  if (activations !== "auto") {
    checkActivations(model, activations);
    return { activations, keptStates: usualKeptStates(model.backbone.layers.length) };
  }
  const together = lengths.slice(0, Math.ceil(lengths.length / gradientAccumulation));
  const selecting = { lengths: together, k, precision, optimizerInBackward, derived: derivedBytes(adaptation) };
  const correcting = { ...selecting, lengths: together.slice(0, 1), k: "all" as const };
  const selectedRows = together.reduce((sum, length) => sum + selectionCount(length, k), 0);
  const isCorrectionLarger = positions === "importance" && (together[0] ?? 0) > selectedRows;
  return planActivations(model, isCorrectionLarger ? correcting : selecting, memoryBudget);
}

// Of derived parameters only the step's end makes gradients of what trains.
function refuseInBackward({ adaptation }: Classifier): never {
  throw new OptionError(
    `the optimizer in backward updates a layer's own weights, but ${
      adaptation?.methods.join("+")
    } computes them from ` +
      "parameters that train in their place: leave out one of the two",
  );
}

// What an optimizer in backward updates together, and what methods put beside it.
function partsOf({ model: { backbone, head }, adaptation }: Classifier): Tensor[][] {
  const { embeddings, finalNorm, layers, side: { network } } = backbone;
  const beside = network ? partsOfSide(network) : [];
  const parts = [head, ...(finalNorm ? [finalNorm] : []), ...beside, ...layers, embeddings].map(parametersOf);
  const inParts = new Set(parts.flat());
  const inserted = (adaptation?.insertions ?? []).map(({ module }) => parametersOf(module));
  return [...parts, ...inserted.map((some) => some.filter((each) => !inParts.has(each)))];
}

function parametersOf(module: Module): Tensor[] {
  return [...namedParameters(module).values()];
}
