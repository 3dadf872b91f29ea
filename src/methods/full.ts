// Full: every weight trains.

import { setTrained } from "../nn/module.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

export const full: WeightMethod<Readonly<Record<never, never>>> = {
  name: "full",
  options: {},
  defaults: {},
  saves: "model",
  check: () => {},
  apply({ layers, others }: OpenParts): void {
    for (const part of [...others, ...layers]) setTrained(part, true);
  },
};
