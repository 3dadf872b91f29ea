// The files of a tokenizer: copied with the model, and completed where nothing else says what the tokenizer is.

import { tokenizerFileNames } from "../files/tokenizer_names.ts";
import type { Classifier } from "./classifier.ts";
import { readJsonObject } from "./config.ts";

/** Copies the files of a tokenizer, as far as they are there. */
export function copyTokenizer(from: string | null, to: string): void {
  if (from === null) return;
  for (const name of tokenizerFileNames) {
    try {
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

/**
 * Lets tokenizer_config.json say which class reads tokenizer.json and what it pads with, where it does not: other
 * programs look for that by the `model_type`, and do not know Fewtune's.
 */
export function completeTokenizer(folder: string, { config, model }: Classifier): void {
  const found = new Set(Deno.readDirSync(folder).map(({ name }) => name));
  const path = `${folder}/tokenizer_config.json`;
  if (!found.has("tokenizer.json")) return;
  const fields = found.has("tokenizer_config.json") ? readJsonObject(path) : {};
  const hasTokenTypes = Number(config.fields["type_vocab_size"] ?? 0) > 1;
  const reader = {
    tokenizer_class: "PreTrainedTokenizerFast",
    model_max_length: model.backbone.maxPositions,
    model_input_names: ["input_ids", ...(hasTokenTypes ? ["token_type_ids"] : []), "attention_mask"],
  };
  const completed = {
    ...(fields["tokenizer_class"] === undefined && reader),
    ...paddingToken(readJsonObject(`${folder}/tokenizer.json`), config.fields["pad_token_id"]),
    ...fields,
  };
  Deno.writeTextFileSync(path, JSON.stringify(completed, null, 2) + "\n");
}

interface AddedToken {
  readonly id: number;
  readonly content: string;
}

function paddingToken({ added_tokens: added }: Record<string, unknown>, id: unknown): { pad_token?: string } {
  const tokens = (Array.isArray(added) ? added : []) as readonly AddedToken[];
  const token = tokens.find((token) => token.id === id) ??
    tokens.find(({ content }) => content === "[PAD]" || content === "<pad>");
  return token ? { pad_token: token.content } : {};
}
