// The derivations of a model: what of it is computed from parameters that train in its place.

import { type Module, namedParameters } from "../nn/module.ts";
import type { Tensor } from "../torch/mod.ts";
import type { Adaptation, Derivation, Insertion } from "./adaptation.ts";

/** An insertion's parameters, and what of the model is computed from them. */
export interface Derived {
  readonly module: Module;
  readonly derivation: Derivation;
}

/** Those of the insertions that have a derivation. */
export function derivedOf(insertions: readonly Insertion[] = []): readonly Derived[] {
  return insertions.flatMap(({ module, derivation }) => derivation ? [{ module, derivation }] : []);
}

/** Computes what is derived for evaluation. */
export function refreshDerived(adaptation: Adaptation | null): void {
  for (const { derivation } of derivedOf(adaptation?.insertions)) derivation.refresh(null);
}

/** What derivations keep that does not train, by its keys: the values of the base. */
export function keptForDerivations(adaptation: Adaptation | null): Map<string, Tensor> {
  const modules = derivedOf(adaptation?.insertions).map(({ module }) => module);
  const all = modules.flatMap((module) => [...namedParameters(module)]);
  return new Map(all.filter(([, { requiresGrad }]) => !requiresGrad));
}
