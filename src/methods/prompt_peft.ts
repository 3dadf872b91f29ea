// PEFT's format of prompts: `PromptTuningConfig`, and the rows of the virtual tokens.

import type { WeightsFile } from "../files/weights_file.ts";
import type { Adaptation, Insertion } from "../models/adaptation.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import type { PeftFields, PeftFormat } from "./peft.ts";
import { insertPrompt } from "./prompt.ts";
import {
  countOf,
  promptEmbeddings,
  promptPrefix,
  requirePositions,
  requireShape,
  virtualTokens,
} from "./virtual_tokens_peft.ts";

export const promptFormat: PeftFormat = {
  type: "PROMPT_TUNING",
  method: "prompt",
  keyPrefix: promptPrefix,
  joined: { name: promptEmbeddings, parts: ({ backbone: { words } }) => words.virtual ? [words.virtual] : [] },
  fields(
    { backbone }: SequenceClassifier,
    { promptLength, promptInit }: Adaptation["options"],
  ): Record<string, unknown> {
    return {
      ...virtualTokens(backbone, Number(promptLength), backbone.words.size),
      prompt_tuning_init: promptInit === "vocabulary" ? "SAMPLE_VOCAB" : "RANDOM",
    };
  },
  options(fields: PeftFields): Adaptation["options"] {
    const isSampled = fields.values["prompt_tuning_init"] === "SAMPLE_VOCAB";
    return { promptLength: countOf(fields), promptInit: isSampled ? "vocabulary" : "random" };
  },
  isOwnKey: () => false,
  insert({ backbone }: SequenceClassifier, options: Adaptation["options"], file: WeightsFile): readonly Insertion[] {
    const length = Number(options["promptLength"]);
    requireShape(file, promptEmbeddings, [length, backbone.words.size]);
    requirePositions(file, backbone, length);
    return [insertPrompt(backbone, length).insertion];
  },
};
