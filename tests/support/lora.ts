// The LoRA adapter of the fixtures, that PEFT made for the tiny BERT, and what PEFT computes with it.

import { type ComputedFixture, numbersIn, type TrainingFixture } from "./fixture_files.ts";
import { readFixture, smallBertFolder } from "./small_bert.ts";

/** The content of `lora/cases.json`. */
export interface LoraFixture extends TrainingFixture, ComputedFixture {
  readonly rank: number;
  readonly alpha: number;
  readonly config: Readonly<Record<string, unknown>>;
}

export const loraFixture: LoraFixture = readFixture<LoraFixture>("lora/cases.json");

const folder = new URL("../fixtures/lora/", import.meta.url).pathname;

/** Copies PEFT's adapter to a new folder, with the tiny BERT (or `base`) as its base, and other fields changed. */
export function copyAdapter(to: string, fields: Readonly<Record<string, unknown>> = {}): void {
  Deno.mkdirSync(to);
  Deno.copyFileSync(`${folder}adapter/adapter_model.safetensors`, `${to}/adapter_model.safetensors`);
  const config = JSON.parse(Deno.readTextFileSync(`${folder}adapter/adapter_config.json`));
  const changed = { ...config, base_model_name_or_path: smallBertFolder, ...fields };
  Deno.writeTextFileSync(`${to}/adapter_config.json`, JSON.stringify(changed));
}

/** The numbers in `adapter/adapter_model`, `gradients` or `after` by the model's keys. */
export function loraNumbers(name: string): Map<string, number[]> {
  const numbers = numbersIn(`${folder}${name}.safetensors`);
  return new Map([...numbers].map(([key, each]) => [key.replace("base_model.model.", ""), each]));
}
