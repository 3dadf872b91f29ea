// The walk of a training step: forward layer by layer, keeping little, then back the same way.

import type { Backbone, SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { sharingCasts } from "../nn/casts.ts";
import {
  backward,
  detach,
  emptyLike,
  type Generator,
  item,
  maskedFill,
  narrow,
  scope,
  type Tensor,
  withGrad,
} from "../torch/mod.ts";
import {
  attend,
  attendBackward,
  type AttendGradient,
  forwardRest,
  hasRandomKeys,
  type HiddenStates,
  joinRows,
  type LayerRun,
  projectRest,
  projectSelected,
  projectSelectedKeys,
  type RestKeys,
} from "./attend.ts";
import type { PackedBatch } from "./batch.ts";
import { poolBackward, poolRows } from "./forward.ts";
import type { GradientOptions, LossOf, Work } from "./gradients.ts";
import { isStateKept, usualKeptStates } from "./kept_states.ts";
import type { Block } from "./layout.ts";
import { leaf, takeGradient } from "./leaf.ts";
import { type Track, trackOf } from "./track.ts";

/** What a layer's backward step needs. What is null is built again. */
interface Kept {
  readonly index: number;
  readonly layer: TransformerLayer;
  readonly input: { selected: Tensor | null; rest: Tensor | null };
  /** Keys and values of the rest, block by block. */
  readonly restKeys: readonly RestKeys[] | null;
  /** Attention's result at the selected rows, a leaf. */
  readonly context: Tensor | null;
  /** Of the rest's generator before each block; null where the rest's keys need none, or are kept. */
  readonly restStates: readonly (Uint8Array | undefined)[] | null;
  /** The layer's output at the selected rows, with the graph from `input.selected` and `context` on. */
  readonly output: Tensor | null;
  readonly states: RandomStates;
}

/**
 * Dropout's states, those that backward goes back to: of the selected rows before and after attention, of the rest
 * before the layer.
 */
interface RandomStates {
  readonly attention: Uint8Array | undefined;
  readonly tail: Uint8Array | undefined;
  readonly rest: Uint8Array | undefined;
}

/** One step; see {@linkcode accumulateGradients}. */
export class Walk {
  readonly #model: SequenceClassifier;
  readonly #batch: PackedBatch;
  readonly #options: GradientOptions;
  readonly #track: Track;
  readonly #isStored: boolean;
  readonly #hasRest: boolean;
  readonly #kept: Kept[] = [];
  #embeddingStates: Pick<RandomStates, "attention" | "rest"> = { attention: undefined, rest: undefined };

  constructor(model: SequenceClassifier, batch: PackedBatch, options: GradientOptions) {
    this.#model = model;
    this.#batch = batch;
    this.#options = options;
    this.#track = trackOf(model, batch, options);
    this.#isStored = options.activations !== "recompute";
    this.#hasRest = batch.layout.restRows > 0;
  }

  run(lossOf: LossOf): number {
    const last = this.#forward();
    const { loss, gradient } = this.#throughHead(last, lossOf);
    const atEnd = [this.#state("selected"), this.#state("rest")] as const;
    const atEmbeddings = this.#throughLayers(gradient);
    if (atEmbeddings !== null) this.#throughEmbeddings(atEmbeddings);
    this.#setState("selected", atEnd[0]);
    this.#setState("rest", atEnd[1]);
    return loss;
  }

  // The last layer's output at the selected rows.
  #forward(): Tensor {
    const { layers } = this.#track;
    this.#embeddingStates = { attention: this.#state("selected"), rest: this.#state("rest") };
    let hidden: HiddenStates = {
      selected: this.#track.embed("selected"),
      rest: this.#hasRest ? this.#track.embed("rest") : null,
    };
    this.#tell("selectedForward", -1);
    layers.forEach((layer, index) => {
      const input = this.#asInput(this.#track.enter(index, hidden), index);
      hidden = sharingCasts(() => this.#forwardLayer(layer, input, index));
    });
    return this.#track.enter(layers.length, hidden).selected;
  }

  #forwardLayer(layer: TransformerLayer, input: HiddenStates, index: number): HiddenStates {
    const isTrained = index >= this.#track.lowest;
    const isStored = isTrained && this.#isStored;
    const isRebuilt = isTrained && !this.#isStored;
    const attention = isTrained ? this.#state("selected") : undefined;
    const restState = isRebuilt ? this.#state("rest") : undefined;
    const isLast = index === this.#track.layers.length - 1;
    const rest = input.rest !== null && !isLast ? emptyLike(input.rest) : null;
    const { context, restKeys, restStates } = this.#attend(layer, input, {
      ...{ restOutput: rest, keepsRestKeys: isStored, index },
      keepsRestStates: isRebuilt && hasRandomKeys(layer),
    });
    const tail = isRebuilt ? this.#state("selected") : undefined;
    const selected = isStored
      ? withGrad(() => this.#tail(layer, input.selected, context))
      : this.#tail(layer, input.selected, context);
    this.#tell("selectedForward", this.#track.placeOf(index));
    if (!isTrained) {
      for (const tensor of [context, input.selected, input.rest]) tensor?.dispose();
      return { selected, rest };
    }
    const keepsRest = isRebuilt && this.#keepsRest(index);
    this.#kept.push({
      index,
      layer,
      input: {
        selected: isStored || index > 0 ? input.selected : freed(input.selected),
        rest: keepsRest ? input.rest : freed(input.rest),
      },
      restKeys: isStored ? restKeys : null,
      context: isStored || this.#hasRest ? context : freed(context),
      restStates,
      output: isStored ? selected : null,
      states: { attention, tail, rest: restState },
    });
    return { selected: isStored ? detach(selected) : selected, rest };
  }

  // The context of the selected rows, a leaf for backward, and what is kept of the rest's keys.
  #attend(
    layer: TransformerLayer,
    input: HiddenStates,
    { restOutput, keepsRestKeys, keepsRestStates = false, index }: {
      readonly restOutput: Tensor | null;
      readonly keepsRestKeys: boolean;
      readonly keepsRestStates?: boolean;
      readonly index: number | null;
    },
  ): Pick<Kept, "restStates"> & { readonly context: Tensor; readonly restKeys: readonly RestKeys[] } {
    return scope(() => {
      const run = { ...this.#runOf(layer, index), keepsRestStates };
      const blocks = attend(run, {
        projected: projectSelected(run, input.selected),
        rest: input.rest,
        restOutput,
        keep: ({ context, restKeys, restState }) => ({
          ...{ context: context(), restState },
          restKeys: keepsRestKeys ? restKeys : null,
        }),
      });
      return {
        context: leaf(joinRows(blocks.map(({ context }) => context))),
        restKeys: blocks.map(({ restKeys }) => restKeys),
        restStates: keepsRestStates ? blocks.map(({ restState }) => restState) : null,
      };
    });
  }

  #tail(layer: TransformerLayer, input: Tensor, context: Tensor): Tensor {
    return layer.afterAttention(input, context, this.#options.random?.selected ?? null);
  }

  // A layer's input, as a leaf where backward goes on below it.
  #asInput({ selected, rest }: HiddenStates, index: number): HiddenStates {
    if (index <= this.#track.lowest) return { selected, rest };
    const made = leaf(selected);
    selected.dispose();
    return { selected: made, rest };
  }

  #keepsRest(index: number): boolean {
    const { layers: { length: layers }, lowest } = this.#track;
    const { keptStates = usualKeptStates(layers) } = this.#options;
    return isStateKept(keptStates, index, { layers, lowest });
  }

  #throughHead(last: Tensor, lossOf: LossOf): { readonly loss: number; readonly gradient: Tensor | null } {
    const { layers: { length: atHead }, finalNorm } = this.#model.backbone;
    const isTrained = this.#track.lowest < this.#track.layers.length;
    const pooled = poolRows(this.#model, this.#batch, last);
    const { dtype } = last;
    if (finalNorm === null) last.dispose();
    const { loss, atPooled } = this.#headLoss(pooled, lossOf);
    pooled.dispose();
    this.#tell("backward", atHead);
    this.#options.onComplete?.(this.#model.head);
    const gradient = atPooled !== null && (isTrained || finalNorm !== null)
      ? poolBackward(this.#batch, atPooled, dtype)
      : null;
    atPooled?.dispose();
    if (gradient === null || finalNorm === null) return { loss, gradient: this.#masked(gradient) };
    const atLast = this.#throughFinalNorm(finalNorm, last, gradient);
    return { loss, gradient: isTrained ? this.#masked(atLast) : null };
  }

  // The loss, and the gradient at what the head reads; null when the loss is not of it.
  #headLoss(pooled: Tensor, lossOf: LossOf): { readonly loss: number; readonly atPooled: Tensor | null } {
    return scope(() => {
      const rows = pooled.length(0);
      const { rowsPerLogits = rows } = this.#options;
      const gradients: Tensor[] = [];
      let loss = 0;
      for (let from = 0; from < rows; from += rowsPerLogits) {
        if (from > 0) this.#tell("backward", this.#model.backbone.layers.length);
        const part = leaf(narrow(pooled, 0, from, Math.min(rowsPerLogits, rows - from)));
        loss = this.#addLoss(part, loss, (logits) => lossOf(logits, from));
        gradients.push(...[takeGradient(part) ?? []].flat());
      }
      return { loss, atPooled: gradients.length > 0 ? joinRows(gradients) : null };
    });
  }

  // The loss with that of some outputs added, whose gradients are accumulated.
  #addLoss(pooled: Tensor, before: number, lossOf: (logits: Tensor) => Tensor): number {
    const { onLoss, random } = this.#options;
    return scope(() =>
      withGrad(() => {
        const logits = this.#model.classify(pooled, random?.selected ?? null);
        const total = lossOf(logits);
        logits.dispose();
        const value = before + item(total);
        this.#tell("selectedForward", this.#model.backbone.layers.length);
        onLoss?.(value);
        backward(total);
        return value;
      })
    );
  }

  #throughFinalNorm(finalNorm: NonNullable<Backbone["finalNorm"]>, last: Tensor, gradient: Tensor): Tensor | null {
    const atLast = scope(() => {
      const input = leaf(last);
      backward(withGrad(() => finalNorm.forward(input)), { gradient });
      return takeGradient(input);
    });
    last.dispose();
    gradient.dispose();
    this.#options.onComplete?.(finalNorm);
    return atLast;
  }

  // The gradient at the embeddings' output, null when backward stops above them.
  #throughLayers(atLast: Tensor | null): Tensor | null {
    let gradient = this.#leave(this.#track.layers.length, atLast);
    for (let kept = this.#kept.at(-1); kept !== undefined && gradient !== null; kept = this.#kept.at(-1)) {
      this.#rebuildRest(kept);
      const atOutput = gradient;
      const atInput = this.#masked(sharingCasts(() => this.#backThrough(kept, atOutput)));
      this.#kept.pop();
      gradient = this.#leave(kept.index, atInput);
    }
    return gradient;
  }

  // The gradient at what is below a layer, from that at its input, which it takes over.
  #leave(index: number, gradient: Tensor | null): Tensor | null {
    const { layers } = this.#track;
    const below = gradient && this.#track.leave(index, gradient);
    if (index < layers.length) this.#tell("backward", this.#track.placeOf(index));
    for (const part of this.#track.partsAt(index)) this.#options.onComplete?.(part);
    return below;
  }

  // Takes `gradient`, at the layer's output, over.
  #backThrough(kept: Kept, gradient: Tensor): Tensor | null {
    return scope(() => {
      const input = this.#selectedInput(kept);
      const atContext = this.#backThroughTail(kept, input, gradient);
      if (atContext !== null) this.#backThroughAttention(kept, input, atContext);
      return takeGradient(input);
    });
  }

  // Adds to the gradient of the leaf `input`.
  #backThroughAttention(kept: Kept, input: Tensor, atContext: Tensor): void {
    const { layer, restKeys, states, input: { rest } } = kept;
    this.#setState("selected", states.attention);
    const run = this.#runOf(layer, null);
    const projected = withGrad(() => projectSelected(run, input));
    const restKeysOf = (block: Block, index: number): RestKeys => {
      this.#setState("rest", kept.restStates?.[index]);
      return restKeys?.[index] ?? projectRest(run, block, rest);
    };
    const gradients = attendBackward(run, projected, atContext, restKeysOf);
    backThroughPrefix(layer, gradients);
    for (const each of restKeys ?? []) disposeKeys(each);
    rest?.dispose();
    for (const name of ["query", "key", "value"] as const) {
      if (projected[name].requiresGrad) backward(projected[name], { gradient: gradients[name], retainGraph: true });
      projected[name].dispose();
      gradients[name].dispose();
    }
  }

  // The gradient at the context; that at the input is added to the leaf's.
  #backThroughTail(kept: Kept, input: Tensor, gradient: Tensor): Tensor | null {
    return scope(() => {
      const context = kept.context ?? this.#attendAgain(kept, input);
      const root = kept.output ?? this.#tailAgain(kept, input, context);
      backward(root, { gradient });
      root.dispose();
      gradient.dispose();
      return takeGradient(context);
    });
  }

  #attendAgain({ layer, states }: Kept, input: Tensor): Tensor {
    this.#setState("selected", states.attention);
    const hidden = { selected: input, rest: null };
    return this.#attend(layer, hidden, { restOutput: null, keepsRestKeys: false, index: null }).context;
  }

  #tailAgain({ layer, states }: Kept, input: Tensor, context: Tensor): Tensor {
    this.#setState("selected", states.tail);
    return withGrad(() => this.#tail(layer, input, context));
  }

  #selectedInput({ input: { selected } }: Kept): Tensor {
    if (selected !== null) return selected;
    this.#setState("selected", this.#embeddingStates.attention);
    const embedded = this.#track.embed("selected");
    return this.#track.lowest < 0 ? leaf(embedded) : embedded;
  }

  // Runs the rest forward again from the next kept state below, up to the input of `kept`.
  #rebuildRest(kept: Kept): void {
    if (!this.#hasRest || kept.restKeys !== null || kept.input.rest !== null) return;
    let from = this.#kept.length - 1;
    while (from > 0 && this.#kept[from]?.input.rest === null) from--;
    const segment = this.#kept.slice(from);
    segment.forEach((below, at) => {
      if (below.input.rest === null && at === 0) {
        this.#setState("rest", this.#embeddingStates.rest);
        below.input.rest = this.#track.embed("rest");
      }
      const above = segment[at + 1];
      if (above !== undefined) above.input.rest = sharingCasts(() => this.#forwardRest(below));
    });
  }

  #forwardRest(kept: Kept): Tensor | null {
    const { layer, input: { rest }, states } = kept;
    if (rest === null) return null;
    return scope(() => {
      const run = this.#runOf(layer, null);
      const restOutput = emptyLike(rest);
      const selected = this.#selectedInput(kept);
      this.#setState("selected", states.attention);
      const keys = projectSelectedKeys(run, selected);
      this.#setState("rest", states.rest);
      forwardRest(run, keys, { input: rest, output: restOutput });
      return restOutput;
    });
  }

  #throughEmbeddings(gradient: Tensor): void {
    this.#setState("selected", this.#embeddingStates.attention);
    scope(() => backward(withGrad(() => this.#track.embed("selected")), { gradient }));
    this.#tell("backward", -1);
    if (this.#track.start !== null) this.#options.onComplete?.(this.#track.start);
  }

  #masked(gradient: Tensor | null): Tensor | null {
    const { gradientStops } = this.#batch;
    if (gradient === null || gradientStops === null) return gradient;
    using unmasked = gradient;
    return maskedFill(unmasked, gradientStops, 0);
  }

  #runOf(layer: TransformerLayer, index: number | null): LayerRun {
    return {
      ...{ model: this.#model.backbone, layer, batch: this.#batch, random: this.#options.random },
      ...(index !== null && { onWork: (kind: Work["kind"]) => this.#tell(kind, this.#track.placeOf(index)) }),
    };
  }

  #state(part: "selected" | "rest"): Uint8Array | undefined {
    return this.#options.random?.[part].state();
  }

  #setState(part: "selected" | "rest", state: Uint8Array | undefined): void {
    const generator: Generator | undefined = this.#options.random?.[part];
    if (state !== undefined) generator?.setState(state);
  }

  #tell(kind: Work["kind"], layer: number): void {
    this.#options.onWork?.({ kind, layer });
  }
}

// The prefix is made of nothing else: its gradient goes to its parameters as it is.
function backThroughPrefix({ prefix: { rows } }: TransformerLayer, { prefix: gradient }: AttendGradient): void {
  if (rows === null || gradient === null) return;
  for (const name of ["key", "value"] as const) {
    if (rows[name].requiresGrad) backward(rows[name], { gradient: gradient[name] });
    gradient[name].dispose();
  }
}

function freed(tensor: Tensor | null): null {
  tensor?.dispose();
  return null;
}

function disposeKeys(keys: RestKeys): void {
  keys?.key.dispose();
  keys?.value.dispose();
}
