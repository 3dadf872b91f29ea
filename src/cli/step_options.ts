// The flags of `train` and `profile` that say how a step is made.

import { Option } from "npm:@commander-js/extra-typings@15.1.0";
import { activationModes, precisions } from "../selective/gradients.ts";
import { byteCount, nameList, positiveNumber, selectionSize, wholeNumber } from "./option_values.ts";

export const method = new Option(
  "--method <method>",
  "what is trained: words of selective, freeze, full, lora, joined by +",
).default("selective");

export const k = new Option(
  "--k <count>",
  "positions of each text that carry gradients: a number, a share such as 0.25, or all (default: 16)",
).argParser(selectionSize);

export const loraRank = new Option("--lora-rank <rank>", "inner width of LoRA's matrices (default: 8)")
  .argParser(wholeNumber(1));

export const loraAlpha = new Option("--lora-alpha <number>", "LoRA counts alpha / rank times (default: 16)")
  .argParser(positiveNumber);

export const loraTargets = new Option("--lora-targets <names>", "linear maps that get LoRA (default: query,value)")
  .argParser(nameList);

export const freezeLayers = new Option("--freeze-layers <count>", "lowest layers that do not train, with freeze")
  .argParser(wholeNumber(0));

const modes = ["auto", ...activationModes] as const;

export const activations = new Option(
  "--activations <mode>",
  "store them for backward, recompute them there (less memory, more time), or auto: the fastest that fits",
).choices(modes).default("auto" as const);

export const memoryBudget = new Option(
  "--memory-budget <bytes>",
  "what auto has to fit into, as 1400MiB or 2GiB (default: no limit)",
).argParser(byteCount);

export const precision = new Option(
  "--precision <type>",
  "of hidden states and activations: bf16 halves them, weights stay float32",
).choices(precisions).default("float32" as const);

export const optimizerInBackward = new Option(
  "--optimizer-in-backward",
  "update each layer as soon as its gradients are there: less memory",
);
