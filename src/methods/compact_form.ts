// Which of an adapter's parameters are in its file as they are, and which in a form of fewer bytes.

import type { Adaptation, CompactForm } from "../models/adaptation.ts";
import { namedParameters } from "../nn/module.ts";
import type { Tensor } from "../torch/mod.ts";

/** The forms of fewer bytes. */
export function compactForms({ insertions }: Adaptation): readonly CompactForm[] {
  return insertions.flatMap(({ compactForm }) => compactForm ?? []);
}

/** Of what trains, the parameters that are in the file as they are. */
export function plainPart(adaptation: Adaptation): Map<string, Tensor> {
  return partOf(adaptation, false);
}

/** The others, of which the file has a form of fewer bytes: a checkpoint holds them besides. */
export function compactPart(adaptation: Adaptation | null): Map<string, Tensor> {
  return adaptation ? partOf(adaptation, true) : new Map();
}

function partOf({ insertions, trained }: Adaptation, isCompact: boolean): Map<string, Tensor> {
  const modules = insertions.flatMap(({ compactForm, module }) => compactForm ? [module] : []);
  const compact = new Set(modules.flatMap((module) => [...namedParameters(module).values()]));
  return new Map([...trained].filter(([, tensor]) => compact.has(tensor) === isCompact));
}
