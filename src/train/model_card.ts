// README.md of a saved model: what it is, how it was made, what was measured, and how to load it.

import { basename } from "node:path";
import { modelFileName } from "../models/saved_config.ts";
import type { Target } from "../models/classifier.ts";
import type { Pooling } from "../models/contract.ts";
import type { Metrics } from "./evaluate.ts";

/** The name of the file in a saved model's folder. */
export const modelCardName = "README.md";

/** What a model card tells. */
export interface CardFacts {
  /** The name of the model's own folder, and what it was fine-tuned from, as it was given. */
  readonly name: string;
  readonly base: string;
  /** The base's name on the hub, where it came from there. */
  readonly hubName: string | null;
  /** Whether the folder holds a whole model, or an adapter, which goes with its base: in PEFT's format or Fewtune's own. */
  readonly kind: "model" | "peft" | "fewtune";
  /** Whether the head is the architecture's standard one. */
  readonly isStandard: boolean;
  readonly pooling: Pooling;
  readonly method: string;
  readonly target: Target;
  /** The settings of the training by their names, in the order to show them; what is undefined is left out. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The numbers of examples by part: train, dev, devMismatched, test. */
  readonly examples: Readonly<Record<string, number>>;
  readonly dev: Metrics | null;
  readonly devMismatched: Metrics | null;
  readonly test: Metrics | null;
  readonly steps: number;
  readonly seconds: number;
  readonly peakBytes: number;
  readonly trainableParameters: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** The text of a model card: YAML of the Hugging Face hub's kind, then Markdown. */
export function modelCard(facts: CardFacts): string {
  return [frontMatter(facts), `# ${facts.name}`, description(facts), ...results(facts), training(facts), loading(facts)]
    .join("\n\n") + "\n";
}

function frontMatter({ hubName, kind, method, target }: CardFacts): string {
  return [
    "---",
    `library_name: ${kind === "model" ? "transformers" : kind}`,
    ...(hubName === null ? [] : [`base_model: ${JSON.stringify(hubName)}`]),
    `pipeline_tag: ${pipelineTag(target)}`,
    "tags:",
    ...["fewtune", ...method.split("+")].map((tag) => `- ${tag}`),
    "---",
  ].join("\n");
}

function pipelineTag(target: Target): string {
  return target === "nextToken" ? "text-generation" : "text-classification";
}

const readBy: Readonly<Record<Exclude<Pooling, "each">, string>> = {
  mean: "the mean of the last hidden states over all positions",
  cls: "the first position",
  last: "the last position",
};

function description({ base, hubName, kind, isStandard, pooling, target }: CardFacts): string {
  const what = kind === "model" ? "A fine-tuned copy of" : "An adapter for";
  const made = `${what} ${code(hubName ?? basename(base))}, made with Fewtune. ${learnt(target)}`;
  if (pooling === "each") return made;
  return `${made} Its head reads ${readBy[pooling]}${isStandard ? ", as the architecture's standard head does" : ""}.`;
}

function learnt(target: Target): string {
  if (target === "nextToken") return "It is a language model.";
  if (target === "regression") return "It predicts a number for a text or a pair of texts.";
  const { labels } = target;
  return `It gives a text or a pair of texts one of ${labels.length} labels: ${labels.map(code).join(", ")}.`;
}

function results({ dev, devMismatched, test, examples }: CardFacts): string[] {
  const measured = Object.entries({ dev, devMismatched, test }).filter((entry): entry is [string, Metrics] =>
    entry[1] !== null
  );
  if (measured.length === 0) return [];
  const names = [...new Set(measured.flatMap(([, metrics]) => Object.keys(metrics)))];
  const titles = measured.map(([part]) => `${part} (${examples[part]} examples)`);
  const rows = names.map((name) => [name, ...measured.map(([, metrics]) => metrics[name]?.toFixed(4) ?? "")]);
  return ["## Results", table(["metric", ...titles], rows)];
}

function training(facts: CardFacts): string {
  const { method, examples, steps, seconds, peakBytes, trainableParameters, versions, settings } = facts;
  const rows: [string, unknown][] = [
    ["method", method],
    ...Object.entries(settings).filter(([, value]) => value !== undefined),
    ["training examples", examples["train"]],
    ["steps", steps],
    ["trained parameters", trainableParameters.toLocaleString("en")],
    ["time", `${seconds.toFixed(1)} s`],
    ["peak memory in tensors", `${Math.round(peakBytes / 2 ** 20).toLocaleString("en")} MiB`],
    ["versions", Object.entries(versions).map((entry) => entry.join(" ")).join(", ")],
  ];
  return ["## Training", table(["", ""], rows.map(([name, value]) => [name, String(value)]))].join("\n\n");
}

function loading(facts: CardFacts): string {
  const { name, kind, isStandard } = facts;
  const folder = JSON.stringify(name);
  const note = isStandard ? [] : [
    `The head is none of transformers' own: ${
      code(modelFileName)
    } in this folder defines it, and \`trust_remote_code=True\` lets it run.`,
  ];
  return [
    "## Loading",
    fenced("sh", `fewtune predict --model ${name} "a text"`),
    fenced(
      "ts",
      `import { loadPredictor } from ${JSON.stringify("./mod.ts")}; // Fewtune's\n\n` +
        `using predictor = await loadPredictor(${folder});\nconst predictions = await predictor.predict(["a text"]);`,
    ),
    ...(kind === "fewtune"
      ? []
      : [...note, fenced("python", kind === "peft" ? withPeft(facts) : withTransformers(facts))]),
  ].join("\n\n");
}

function withTransformers({ name, isStandard, target }: CardFacts): string {
  const trust = isStandard ? "" : ", trust_remote_code=True";
  return `from transformers import pipeline

run = pipeline(${JSON.stringify(pipelineTag(target))}, model=${JSON.stringify(name)}${trust})
print(run("a text"))`;
}

// The configuration is the adapter's, which has its labels and its head; the weights are the base's, without its head.
function withPeft({ name, base, isStandard, target }: CardFacts): string {
  const autoModel = target === "nextToken" ? "AutoModelForCausalLM" : "AutoModelForSequenceClassification";
  const trust = isStandard ? "" : ", trust_remote_code=True";
  const folder = JSON.stringify(name);
  return `from peft import PeftModel
from transformers import AutoConfig, ${autoModel}

config = AutoConfig.from_pretrained(${folder}${trust})
base = ${autoModel}.from_pretrained(
    ${JSON.stringify(base)}, config=config, ignore_mismatched_sizes=True${trust}
)
model = PeftModel.from_pretrained(base, ${folder})`;
}

function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(titles), line(titles.map((_, column) => column === 0 ? "---" : "---:")), ...rows.map(line)].join("\n");
}

function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

/** As code in Markdown, also where the text has backticks or line breaks. */
function code(text: string): string {
  const fence = "`".repeat(1 + Math.max(0, ...text.matchAll(/`+/g).map(([run]) => run.length)));
  const space = fence.length > 1 ? " " : "";
  return fence + space + text.replaceAll(/\s+/g, " ") + space + fence;
}
