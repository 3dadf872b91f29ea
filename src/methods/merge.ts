// Merging: what a method put beside the base's weights becomes a part of them.

import { OptionError } from "../errors.ts";
import type { Adaptation, Merging } from "../models/adaptation.ts";
import type { Classifier } from "../models/classifier.ts";
import { disposeModule } from "../nn/module.ts";
import { clone, copy_, detachFromScope, noGrad, scope, type Tensor } from "../torch/mod.ts";

/** A model whose adapter is a part of its weights. Dispose it to free what it keeps to take the adapter out again. */
export class MergedAdapter implements Disposable {
  readonly #classifier: Classifier;
  readonly #adaptation: Adaptation;
  /** Null where they were not kept. */
  #weights: ReadonlyMap<Tensor, Tensor> | null;

  /** Use {@linkcode mergeAdapter}. */
  constructor(classifier: Classifier, adaptation: Adaptation, weights: ReadonlyMap<Tensor, Tensor> | null) {
    this.#classifier = classifier;
    this.#adaptation = adaptation;
    this.#weights = weights;
  }

  /**
   * Gives the weights the bits that they had, with the adapter beside them as it was.
   *
   * @throws {OptionError} when they were not kept, or the model has another adapter by now
   */
  unmerge(): void {
    if (this.#weights === null) {
      throw new OptionError(
        "the weights from before the merge are not there: merge with keepsWeights to take an adapter out again",
      );
    }
    if (this.#classifier.adaptation !== null) {
      throw new OptionError(`the model has ${this.#classifier.adaptation.methods.join("+")} by now: merge that first`);
    }
    const weights = this.#weights;
    noGrad(() => scope(() => weights.forEach((kept, weight) => copy_(weight, kept))));
    for (const insertion of this.#adaptation.insertions) insertion.attach();
    this.#classifier.adaptation = this.#adaptation;
    this.#freeWeights();
  }

  [Symbol.dispose](): void {
    if (this.#weights === null) return;
    this.#freeWeights();
    for (const { module } of this.#adaptation.insertions) disposeModule(module);
  }

  #freeWeights(): void {
    this.#weights?.forEach((kept) => kept.dispose());
    this.#weights = null;
  }
}

/**
 * Makes what methods put into a model a part of its weights: an ordinary model, which computes the same. Which
 * parameters train stays as it is; the next method decides that anew. A model without an adapter stays as it is.
 *
 * @param keepsWeights whether the weights that change are copied, so that {@linkcode MergedAdapter.unmerge} can give
 * them back. Default false.
 * @throws {OptionError} when a method computes what no weights do, such as adapters or prefixes
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("out/adapter");
 * mergeAdapter(classifier);
 * saveClassifier(classifier, "out/merged");
 * ```
 */
export function mergeAdapter(
  classifier: Classifier,
  { keepsWeights = false }: { readonly keepsWeights?: boolean } = {},
): MergedAdapter {
  const { adaptation } = classifier;
  if (adaptation === null) return new MergedAdapter(classifier, { ...nothing }, null);
  const merging = adaptation.insertions.map(({ merging }) => merging ?? refuse(adaptation));
  const kept = keepsWeights ? copiesOf(merging) : null;
  for (const each of merging) each.fold();
  for (const { detach } of adaptation.insertions) detach();
  if (kept === null) { for (const { module } of adaptation.insertions) disposeModule(module); }
  classifier.adaptation = null;
  return new MergedAdapter(classifier, adaptation, kept);
}

const nothing: Adaptation = { methods: [], options: {}, trained: new Map(), insertions: [] };

function refuse({ methods }: Adaptation): never {
  throw new OptionError(
    `${methods.join("+")} computes what no weights of the model do: it cannot be merged, save it beside its base`,
  );
}

function copiesOf(merging: readonly Merging[]): Map<Tensor, Tensor> {
  const weights = new Set(merging.flatMap((each) => each.weights));
  return new Map([...weights].map((weight) => [weight, noGrad(() => detachFromScope(clone(weight)))]));
}
