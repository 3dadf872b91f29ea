// PEFT's format of an adapter: what adapter_config.json and the keys of adapter_model.safetensors have for each method.
//
// The reference implementation is Hugging Face's PEFT (`PeftConfig`, `PeftModel.save_pretrained`).

import { CheckpointError } from "../errors.ts";
import { hubModelOf } from "../hub/cache_layout.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import { readJsonObject } from "../models/config.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { show } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { adaptedLinears } from "../nn/linear.ts";
import { namedModules } from "../nn/module.ts";
import type { Tensor } from "../torch/mod.ts";

export const adapterConfigName = "adapter_config.json";
export const adapterWeightsName = "adapter_model.safetensors";

/** What PEFT puts before a model's own keys. */
export const keyPrefix = "base_model.model.";

/** How PEFT writes what one method put into a model. */
export interface PeftFormat {
  /** `peft_type` in adapter_config.json. */
  readonly type: string;
  /** The method's name here. */
  readonly method: string;
  /** What stands before the model's keys in the file. Default {@linkcode keyPrefix}. */
  readonly keyPrefix?: string;
  /** The tensor of the file that has a name of its own, and the parameters that it holds side by side. */
  readonly joined?: { readonly name: string; parts(model: SequenceClassifier): readonly Tensor[] };
  /** Whether the fields can say what these options do. Default: always. */
  canSay?(options: Adaptation["options"]): boolean;
  /** The fields that are the method's own. */
  fields(model: SequenceClassifier, options: Adaptation["options"]): Record<string, unknown>;
  /** The method's options that the fields say. Throws {@linkcode CheckpointError} when it is not computed so here. */
  options(fields: PeftFields, file: WeightsFile): Adaptation["options"];
  /** Whether a key of the model is that of a parameter of the method's. */
  isOwnKey(key: string): boolean;
  /** Puts into the model what the file has parameters for, under keys of the model. */
  insert(
    model: SequenceClassifier,
    options: Adaptation["options"],
    file: WeightsFile,
    keys: readonly string[],
  ): readonly Insertion[];
}

/** What stands before the model's keys in a file of this format. */
export function prefixOf(format: PeftFormat): string {
  return format.keyPrefix ?? keyPrefix;
}

/** The fields of an adapter_config.json. */
export class PeftFields {
  constructor(readonly path: string, readonly values: Readonly<Record<string, unknown>>) {}

  /** A whole number above 0. Throws {@linkcode CheckpointError} when it is none. */
  count(name: string): number {
    const value = this.values[name];
    if (typeof value !== "number" || !Number.isInteger(value) || value < 1) {
      return this.refuse(name, "a whole number above 0");
    }
    return value;
  }

  /** A finite number above 0. Throws {@linkcode CheckpointError} when it is none. */
  positive(name: string): number {
    const value = this.values[name];
    if (typeof value !== "number" || !(value > 0 && value < Infinity)) return this.refuse(name, "a number above 0");
    return value;
  }

  /** Refuses a field that has none of the values; one that is not there counts as null. */
  only(name: string, ...values: readonly unknown[]): void {
    if (values.every((value) => show(this.values[name] ?? null) !== show(value))) {
      this.refuse(name, `${JSON.stringify(values.at(-1))} to be used here`);
    }
  }

  /** Throws the {@linkcode CheckpointError} of a field that cannot be used. */
  refuse(name: string, wanted: string): never {
    throw new CheckpointError(`${this.path}: ${name} is ${show(this.values[name])}, it has to be ${wanted}`);
  }
}

/** What every adapter_config.json says. */
export interface AdapterConfig {
  readonly fields: PeftFields;
  /** The checkpoint that the adapter goes with: its folder, or its name on the hub. */
  readonly base: string;
  /** Of a base on the hub. */
  readonly revision: string | undefined;
  /** Whether it says that its head is on whole sequences, whatever its base is. */
  readonly isClassifier: boolean;
}

/** The content of adapter_config.json for a model whose base is in the folder `base`. */
export function peftConfig(
  format: PeftFormat,
  model: SequenceClassifier,
  { options }: Adaptation,
  base: string,
): Record<string, unknown> {
  const onHub = hubModelOf(base);
  const head = headModules(model);
  return {
    peft_type: format.type,
    task_type: model.pooling === "each" ? "CAUSAL_LM" : "SEQ_CLS",
    base_model_name_or_path: onHub?.name ?? base,
    ...(onHub && { revision: onHub.commit }),
    inference_mode: true,
    ...format.fields(model, options),
    modules_to_save: head.length > 0 ? head : null,
  };
}

// The parts of the head that are saved whole: those without an adapter.
function headModules(model: SequenceClassifier): string[] {
  const parts = new Set(Object.values(model.head.children ?? {}).filter((part) => adaptedLinears(part).size === 0));
  return [...namedModules(model)].filter(([, module]) => parts.has(module)).map(([key]) => key);
}

/**
 * Reads what every adapter_config.json says.
 *
 * @throws {CheckpointError} when it is damaged
 */
export function readAdapterConfig(path: string): AdapterConfig {
  const fields = new PeftFields(path, readJsonObject(path));
  const { base_model_name_or_path: base, revision, task_type: task } = fields.values;
  if (typeof base !== "string") return fields.refuse("base_model_name_or_path", "a checkpoint's folder or name");
  return {
    ...{ fields, base, isClassifier: task === "SEQ_CLS" },
    revision: typeof revision === "string" ? revision : undefined,
  };
}
