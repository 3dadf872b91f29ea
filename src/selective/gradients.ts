// Gradients of a batch, layer by layer: each layer's graph is kept from the forward pass, or rebuilt on the way back.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { backward, detach, item, noGrad, requiresGrad_, scope, type Tensor, withGrad } from "../torch/mod.ts";
import type { PackedBatch } from "./batch.ts";
import { classify, type DropoutRandom, embed, type HiddenStates, runLayer } from "./forward.ts";

/** The ways to have activations for backward. */
export const activationModes = ["store", "recompute"] as const;

/**
 * Where the activations of the selected rows live between forward and backward. `store`: every layer's graph is kept
 * (the paper's way). `recompute`: the forward pass keeps each layer's input alone, and the layer's graph is built when
 * backward reaches it, with dropout's generator set back; on the CPU the gradients are the same to the bit.
 */
export type ActivationMode = typeof activationModes[number];

/** A piece of a step's work: of one layer, of the embeddings (-1), or of the head (the number of layers). */
export interface Work {
  /** The forward pass of the rest, which has no gradients; that of the selected rows; or backward, with its rebuilding. */
  readonly kind: "restForward" | "selectedForward" | "backward";
  readonly layer: number;
}

/** How {@linkcode accumulateGradients} works. */
export interface GradientOptions {
  /** Null: no dropout. */
  readonly random: DropoutRandom | null;
  /** Default `store`. */
  readonly activations?: ActivationMode;
  /** Told the loss before backward begins; what it throws stops there, without gradients. */
  readonly onLoss?: (loss: number) => void;
  /** Told of each part of the model as soon as its gradients are complete: the head's, each layer's, the embeddings'. */
  readonly onComplete?: (part: Module) => void;
  /** Told of each piece of work as it ends, before {@linkcode GradientOptions.onComplete}. */
  readonly onWork?: (work: Work) => void;
}

/**
 * Runs a batch forward and backward, accumulates the gradients at the parameters, and returns the loss.
 *
 * The graph is cut between layers, and backward walks them from the last to the first: a layer's activations are freed
 * as soon as it is done.
 *
 * @param lossOf the loss, one element, of logits `[B, numLabels]`
 */
export function accumulateGradients(
  model: SequenceClassifier,
  batch: PackedBatch,
  lossOf: (logits: Tensor) => Tensor,
  options: GradientOptions,
): number {
  return noGrad(() => scope(() => new Walk(model, batch, options).run(lossOf)));
}

// What a layer's backward step needs. `output` is the root of its graph; null when that has to be rebuilt, for which
// `randomState` is dropout's.
interface Kept {
  readonly layer: TransformerLayer;
  readonly input: HiddenStates;
  readonly output: Tensor | null;
  readonly randomState: Uint8Array | undefined;
}

class Walk {
  readonly #model: SequenceClassifier;
  readonly #batch: PackedBatch;
  readonly #options: GradientOptions;
  readonly #kept: Kept[] = [];
  readonly #lowest: number;

  constructor(model: SequenceClassifier, batch: PackedBatch, options: GradientOptions) {
    this.#model = model;
    this.#batch = batch;
    this.#options = options;
    this.#lowest = lowestTrained(model.backbone);
  }

  run(lossOf: (logits: Tensor) => Tensor): number {
    const { random } = this.#options;
    const atEmbeddings = random?.selected.state();
    const last = this.#forward();
    const loss = this.#throughHead(last, lossOf);
    const atEnd = random?.selected.state();
    const atFirst = this.#throughLayers(takeGradient(last));
    if (atEmbeddings) random?.selected.setState(atEmbeddings);
    if (atFirst !== null && this.#lowest < 0) this.#throughEmbeddings(atFirst);
    if (atEnd) random?.selected.setState(atEnd);
    return loss;
  }

  // The last layer's output at the selected rows, a leaf.
  #forward(): Tensor {
    const { layers } = this.#model.backbone;
    let hidden = this.#asInput(embed(this.#model.backbone, this.#batch, this.#options.random), 0);
    this.#tell("selectedForward", -1);
    layers.forEach((layer, index) => {
      hidden = this.#throughLayer(layer, hidden, index);
      this.#tell("selectedForward", index);
    });
    return hidden.selected;
  }

  #throughLayer(layer: TransformerLayer, input: HiddenStates, index: number): HiddenStates {
    const { activations = "store", random } = this.#options;
    const { layers } = this.#model.backbone;
    const run = (): HiddenStates =>
      runLayer(this.#model.backbone, layer, input, this.#batch, random, index === layers.length - 1);
    if (index < this.#lowest) return this.#asInput(replaceStates(input, run()), index + 1);
    if (activations === "recompute") {
      this.#kept.push({ layer, input, output: null, randomState: random?.selected.state() });
      return this.#asInput(run(), index + 1);
    }
    const output = withGrad(run);
    input.rest?.dispose();
    const kept = { selected: input.selected, rest: null };
    this.#kept.push({ layer, input: kept, output: output.selected, randomState: undefined });
    return { selected: leaf(output.selected), rest: output.rest };
  }

  // Where backward still goes on, a layer's input is a leaf that takes up the gradient.
  #asInput({ selected, rest }: HiddenStates, index: number): HiddenStates {
    if (index <= this.#lowest && index < this.#model.backbone.layers.length) return { selected, rest };
    const made = leaf(selected);
    selected.dispose();
    return { selected: made, rest };
  }

  #throughHead(last: Tensor, lossOf: (logits: Tensor) => Tensor): number {
    const { onComplete, onLoss, random } = this.#options;
    const loss = scope(() =>
      withGrad(() => {
        const total = lossOf(classify(this.#model, this.#batch, last, random));
        const value = item(total);
        this.#tell("selectedForward", this.#model.backbone.layers.length);
        onLoss?.(value);
        backward(total);
        return value;
      })
    );
    this.#tell("backward", this.#model.backbone.layers.length);
    onComplete?.(this.#model.head);
    if (this.#model.backbone.finalNorm) onComplete?.(this.#model.backbone.finalNorm);
    return loss;
  }

  // The gradient at the embeddings' output, null when backward stopped above them.
  #throughLayers(atLast: Tensor | null): Tensor | null {
    let gradient = atLast;
    for (let kept = this.#kept.pop(); kept !== undefined && gradient !== null; kept = this.#kept.pop()) {
      const atInput = this.#backThrough(kept, gradient);
      gradient.dispose();
      gradient = atInput;
      this.#tell("backward", this.#model.backbone.layers.indexOf(kept.layer));
      this.#options.onComplete?.(kept.layer);
    }
    return gradient;
  }

  #backThrough({ layer, input, output, randomState }: Kept, gradient: Tensor): Tensor | null {
    return scope(() => {
      backward(output ?? this.#rebuild(layer, input, randomState), { gradient });
      output?.dispose();
      input.rest?.dispose();
      return takeGradient(input.selected);
    });
  }

  #rebuild(layer: TransformerLayer, input: HiddenStates, randomState: Uint8Array | undefined): Tensor {
    const { random } = this.#options;
    if (randomState) random?.selected.setState(randomState);
    return withGrad(() => runLayer(this.#model.backbone, layer, input, this.#batch, random, true)).selected;
  }

  #throughEmbeddings(gradient: Tensor): void {
    const { backbone } = this.#model;
    const { onComplete, random } = this.#options;
    scope(() => {
      backward(withGrad(() => backbone.embed(this.#batch.selected, random?.selected ?? null)), { gradient });
    });
    this.#tell("backward", -1);
    onComplete?.(backbone.embeddings);
  }

  #tell(kind: Work["kind"], layer: number): void {
    this.#options.onWork?.({ kind, layer });
  }
}

// The index of the lowest layer that is trained: -1 when the embeddings are, the number of layers when only the head is.
function lowestTrained({ embeddings, layers }: Backbone): number {
  const isTrained = (part: Module): boolean => namedParameters(part).values().some((tensor) => tensor.requiresGrad);
  const lowest = layers.findIndex(isTrained);
  return isTrained(embeddings) ? -1 : lowest < 0 ? layers.length : lowest;
}

function replaceStates(old: HiddenStates, next: HiddenStates): HiddenStates {
  old.selected.dispose();
  old.rest?.dispose();
  return next;
}

function leaf(tensor: Tensor): Tensor {
  return scope(() => requiresGrad_(detach(tensor)));
}

// The gradient that backward left at a leaf, which is done with; null when backward stops there.
function takeGradient(leaf: Tensor): Tensor | null {
  const gradient = leaf.grad;
  leaf.dispose();
  return gradient;
}
