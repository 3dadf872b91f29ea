// PEFT's format of a LoRA adapter: adapter_config.json, and the keys in adapter_model.safetensors.
//
// The reference implementation is Hugging Face's PEFT (`LoraConfig`, `PeftModel.save_pretrained`).

import { CheckpointError } from "../errors.ts";
import { hubModelOf } from "../hub/cache_layout.ts";
import { readJsonObject } from "../models/config.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { show } from "../files/shown.ts";
import { adaptedLinears, namedLinears } from "../nn/linear.ts";
import { namedModules } from "../nn/module.ts";
import { loraLinears } from "./lora.ts";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

/** What PEFT puts before a model's own keys. */
export const keyPrefix = "base_model.model.";

/** What of an adapter_config.json the loading of an adapter needs. */
export interface AdapterConfig {
  /** The checkpoint that the adapter goes with: its folder, or its name on the hub. */
  readonly base: string;
  /** Of a base on the hub. */
  readonly revision: string | undefined;
  readonly rank: number;
  /** The product counts alpha / rank times. */
  readonly alpha: number;
  /** Whether it says that its head is on whole sequences, whatever its base is. */
  readonly isClassifier: boolean;
}

/** The content of adapter_config.json for a model with LoRA, whose base is in the folder `base`. */
export function peftConfig(model: SequenceClassifier, base: string): Record<string, unknown> {
  const [{ lora } = { lora: null }] = loraLinears(model).values();
  const onHub = hubModelOf(base);
  const head = headModules(model);
  return {
    peft_type: "LORA",
    task_type: model.pooling === "each" ? "CAUSAL_LM" : "SEQ_CLS",
    base_model_name_or_path: onHub?.name ?? base,
    ...(onHub && { revision: onHub.commit }),
    inference_mode: true,
    r: lora?.rank,
    lora_alpha: lora?.alpha,
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    init_lora_weights: true,
    target_modules: targetModules(model),
    modules_to_save: head.length > 0 ? head : null,
  };
}

// The last names of the adapted linear maps, when those mean no others, as PEFT finds them; else their whole keys.
function targetModules(model: SequenceClassifier): string[] {
  const adapted = loraLinears(model);
  const lastName = (key: string): string => key.slice(key.lastIndexOf(".") + 1);
  const names = new Set(adapted.keys().map(lastName));
  const meant = namedLinears(model).keys().filter((key) => names.has(lastName(key)));
  return [...(meant.every((key) => adapted.has(key)) ? names : adapted.keys())];
}

// The parts of the head that are saved whole: those without LoRA.
function headModules(model: SequenceClassifier): string[] {
  const parts = new Set(Object.values(model.head.children ?? {}).filter((part) => adaptedLinears(part).size === 0));
  return [...namedModules(model)].filter(([, module]) => parts.has(module)).map(([key]) => key);
}

/**
 * Reads an adapter_config.json.
 *
 * @throws {CheckpointError} when it is damaged, or of an adapter that is computed in another way than LoRA here
 */
export function readAdapterConfig(path: string): AdapterConfig {
  const fields = readJsonObject(path);
  const refuse = (name: string, wanted: string): never => {
    throw new CheckpointError(`${path}: ${name} is ${show(fields[name])}, it has to be ${wanted}`);
  };
  for (const [name, ...values] of plain) {
    if (values.every((value) => show(fields[name] ?? null) !== show(value))) {
      refuse(name, `${JSON.stringify(values.at(-1))} to be used here`);
    }
  }
  const { peft_type: type, base_model_name_or_path: base, r: rank, lora_alpha: alpha } = fields;
  if (type !== "LORA") refuse("peft_type", '"LORA", the only one that is known here');
  if (typeof base !== "string") return refuse("base_model_name_or_path", "a checkpoint's folder or name");
  if (typeof rank !== "number" || !Number.isInteger(rank) || rank < 1) return refuse("r", "a whole number above 0");
  if (typeof alpha !== "number" || !(alpha > 0 && alpha < Infinity)) return refuse("lora_alpha", "a number above 0");
  const revision = typeof fields["revision"] === "string" ? fields["revision"] : undefined;
  const scaled = fields["use_rslora"] === true ? alpha * Math.sqrt(rank) : alpha;
  return { base, revision, rank, alpha: scaled, isClassifier: fields["task_type"] === "SEQ_CLS" };
}

// Fields that change what an adapter computes, with the values at which it is LoRA as in the paper. What else an adapter
// can have shows in its weights, whose keys are then unexpected.
const plain: readonly (readonly [name: string, ...values: unknown[]])[] = [
  ["bias", null, "none"],
  ["lora_bias", null, false],
  ["fan_in_fan_out", null, false],
  ["use_dora", null, false],
  ["use_qalora", null, false],
  ["use_bdlora", null],
  ["rank_pattern", null, {}],
  ["alpha_pattern", null, {}],
  ["layer_replication", null],
  ["alora_invocation_tokens", null],
  ["trainable_token_indices", null],
  ["target_parameters", null],
  ["arrow_config", null],
  ["kasa_config", null],
  ["monteclora_config", null],
];
