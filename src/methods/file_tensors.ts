// What the file of an adapter holds: a trained parameter in each tensor, or several side by side.

import type { Adaptation } from "../models/adaptation.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import type { Tensor } from "../torch/mod.ts";
import { plainPart } from "./compact_form.ts";
import { prefixOf } from "./peft.ts";
import { peftFormatOf } from "./peft_formats.ts";

/** The parameters in each tensor of a file, by its name there. */
export type FileTensors = ReadonlyMap<string, readonly Tensor[]>;

/** What the file of an adapter holds, but for what it has in a form of fewer bytes. */
export function fileTensors(model: SequenceClassifier, adaptation: Adaptation): FileTensors {
  const format = peftFormatOf(adaptation);
  const joined = format?.joined?.parts(model) ?? [];
  const prefix = format ? prefixOf(format) : "";
  const others = plainPart(adaptation).entries().filter(([, tensor]) => !joined.includes(tensor));
  return new Map([
    ...(format?.joined ? [[format.joined.name, joined] as const] : []),
    ...others.map(([key, tensor]) => [prefix + key, [tensor]] as const),
  ]);
}
