// PEFT's format of LoRA: `LoraConfig`, and the keys of its parameters.

import { CheckpointError } from "../errors.ts";
import { plainly, show } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { namedLinears } from "../nn/linear.ts";
import { insertLora, loraLinears } from "./lora.ts";
import { Lora } from "./lora_adapter.ts";
import { adapterConfigName, type PeftFields, type PeftFormat } from "./peft.ts";
import { targetModules } from "./peft_targets.ts";

export const loraFormat: PeftFormat = {
  type: "LORA",
  method: "lora",
  fields(model: SequenceClassifier, options: Adaptation["options"]): Record<string, unknown> {
    const { loraR, loraAlpha, loraDropout, useRslora, useDora } = options;
    return {
      ...{ r: loraR, lora_alpha: loraAlpha, lora_dropout: loraDropout, bias: "none", fan_in_fan_out: false },
      ...{ init_lora_weights: true, ...(useRslora === true && { use_rslora: true }) },
      ...(useDora === true && { use_dora: true }),
      target_modules: targetModules(model, loraLinears(model)),
    };
  },
  options: readOptions,
  isOwnKey: (key) => ownKey.test(key),
  insert: insertAll,
};

// Keys of A, B and DoRA's lengths, after that of their linear map.
const ownKey = /\.lora_(([AB])\.weight|magnitude_vector)$/;

function readOptions(fields: PeftFields): Adaptation["options"] {
  for (const [name, ...values] of plain) fields.only(name, ...values);
  const { lora_dropout: dropout, use_rslora: useRslora, use_dora: useDora } = fields.values;
  return {
    loraR: fields.count("r"),
    loraAlpha: fields.positive("lora_alpha"),
    loraDropout: typeof dropout === "number" && dropout >= 0 && dropout < 1 ? dropout : 0,
    useRslora: useRslora === true,
    useDora: useDora === true,
  };
}

function insertAll(
  model: SequenceClassifier,
  options: Adaptation["options"],
  file: WeightsFile,
  keys: readonly string[],
): readonly Insertion[] {
  const rank = Number(options["loraR"]);
  checkRank(rank, file);
  const linears = namedLinears(model);
  const adapted = new Set(
    keys.filter((key) => ownKey.test(key)).flatMap((key) => linears.get(key.replace(ownKey, "")) ?? []),
  );
  return [...adapted].map((linear) =>
    insertLora(
      linear,
      new Lora(linear, {
        ...{ rank, alpha: Number(options["loraAlpha"]), dropout: Number(options["loraDropout"]) },
        ...{ isRankStabilised: options["useRslora"] === true, hasMagnitude: options["useDora"] === true },
      }),
    )
  );
}

// A rank may ask for any amount of memory: it is compared with the file's before any is taken.
function checkRank(rank: number, { path, tensors }: WeightsFile): void {
  for (const [name, { shape }] of tensors) {
    const part = ownKey.exec(name)?.[2];
    const wanted = part === "A" ? [rank, ...shape.slice(1)] : [...shape.slice(0, -1), rank];
    if (part === undefined || shape.join() === wanted.join()) continue;
    throw new CheckpointError(
      `${path} does not fit its ${adapterConfigName}: ${plainly(name)} is ${show(shape)} and not ${show(wanted)}`,
    );
  }
}

// Fields that change what an adapter computes, with the values at which it is computed so here. What else an adapter can
// have shows in its weights, whose keys are then unexpected.
const plain: readonly (readonly [name: string, ...values: unknown[]])[] = [
  ["bias", null, "none"],
  ["lora_bias", null, false],
  ["fan_in_fan_out", null, false],
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
