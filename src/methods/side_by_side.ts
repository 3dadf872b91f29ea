// A tensor of a file that holds several parameters side by side, `[rows, columns]` each.

import type { WeightsFile } from "../files/weights_file.ts";
import { readParameter } from "../models/read_parameter.ts";
import { cat, copy_, empty, narrow, noGrad, scope, type Tensor } from "../torch/mod.ts";

/** The shape of the tensor; of a single parameter its own. */
export function shapeOfParts(parts: readonly Tensor[]): readonly number[] {
  const [first] = parts;
  if (first === undefined || parts.length === 1) return first?.shape ?? [];
  return [first.length(0), parts.reduce((sum, part) => sum + part.length(1), 0)];
}

/** The tensor; a single parameter itself. */
export function joinParts(parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  return parts.length === 1 && first ? first : noGrad(() => cat(parts, 1));
}

/** Copies the tensor's columns into the parameters. */
export function splitInto(parts: readonly Tensor[], joined: Tensor): void {
  noGrad(() =>
    scope(() => {
      let from = 0;
      for (const part of parts) {
        copy_(part, narrow(joined, 1, from, part.length(1)));
        from += part.length(1);
      }
    })
  );
}

/** Reads the tensor of a file, whose shape was checked, into the parameters. */
export function readParts(file: WeightsFile, name: string, parts: readonly Tensor[]): void {
  const [first] = parts;
  if (first === undefined) return;
  if (parts.length === 1) return readParameter(file, name, first);
  scope(() => {
    const joined = empty(shapeOfParts(parts), { dtype: first.dtype });
    readParameter(file, name, joined);
    splitInto(parts, joined);
  });
}
