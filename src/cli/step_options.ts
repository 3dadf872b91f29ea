// The flags of `train` and `profile` that say how a step is made.

import { Option } from "npm:@commander-js/extra-typings@15.1.0";
import { activationModes, precisions } from "../selective/gradients.ts";
import { byteCount } from "./option_values.ts";

export const methodFlag = [
  "--method <method>",
  "what is trained: words of selective, freeze, full, lora, joined by +",
  "selective",
] as const;

export const kFlag = [
  "--k <count>",
  "positions of each text that carry gradients: a number, a share such as 0.25, or all (default: 16)",
] as const;

export const loraRankFlag = ["--lora-rank <rank>", "inner width of LoRA's matrices (default: 8)"] as const;
export const loraAlphaFlag = ["--lora-alpha <number>", "LoRA counts alpha / rank times (default: 16)"] as const;
export const loraTargetsFlag = [
  "--lora-targets <names>",
  "linear maps that get LoRA (default: query,value)",
] as const;
export const freezeLayersFlag = ["--freeze-layers <count>", "lowest layers that do not train, with freeze"] as const;
export const optimizerInBackwardFlag = [
  "--optimizer-in-backward",
  "update each layer as soon as its gradients are there: less memory",
] as const;

const modes = ["auto", ...activationModes] as const;

/** `--activations`. */
export const activationsOption = new Option(
  "--activations <mode>",
  "store them for backward, recompute them there (less memory, more time), or auto: the fastest that fits",
).choices(modes).default("auto" as const);

/** `--memory-budget`. */
export const memoryBudgetOption = new Option(
  "--memory-budget <bytes>",
  "what auto has to fit into, as 1400MiB or 2GiB (default: no limit)",
)
  .argParser(byteCount);

/** `--precision`. */
export const precisionOption = new Option(
  "--precision <type>",
  "of hidden states and activations: bf16 halves them, weights stay float32",
)
  .choices(precisions).default("float32" as const);
