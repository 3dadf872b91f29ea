// Full: every weight trains.

import type { Insertion } from "../models/adaptation.ts";
import { setTrained } from "../nn/module.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

export const full = {
  name: "full",
  summary: "every weight trains",
  options: {},
  defaults: {},
  saves: "model",
  apply({ layers, others }: OpenParts): readonly Insertion[] {
    for (const part of [...others, ...layers]) setTrained(part, true);
    return [];
  },
} as const satisfies WeightMethod;
