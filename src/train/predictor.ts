// A fine-tuned model with its tokenizer: texts in, labels with probabilities, numbers or perplexities out.

import { type EncodedExample, encodeExamples } from "../data/encode.ts";
import type { Example } from "../data/examples.ts";
import { readTable, type Table } from "../data/table.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { Classifier, LabelTarget } from "../models/classifier.ts";
import { modelFolder } from "../hub/model_folder.ts";
import type { HubOptions } from "../hub/options.ts";
import { loadClassifier } from "../methods/load.ts";
import type { LoadOptions } from "../models/load.ts";
import { longestText } from "../models/preceding.ts";
import { exists } from "../native/cache.ts";
import { argmax, evaluate, type Metrics, predictLogits, probabilities } from "./evaluate.ts";
import { checkedMaxLength, requireVocabulary } from "./fit.ts";
import type { PredictOptions } from "./in_batches.ts";
import { requireNextTokens } from "./lesson.ts";
import { type Columns, labelledExamples, refusePair, requireNextTokensOf } from "./table_data.ts";
import { scoreTexts } from "./text_score.ts";
import { encodeTable, type EncodeTableOptions } from "./token_cache.ts";
import { trainedGlueTask, trainedMaxLength } from "./training_record.ts";

/** What a classifier says of a text: the likeliest label, its probability, and the logits of all labels. */
export interface LabelPrediction {
  readonly label: string;
  readonly score: number;
  readonly logits: readonly number[];
}

/** What a regression model says of a text. */
export interface NumberPrediction {
  readonly value: number;
}

/** What a language model says of a text. */
export interface TextPrediction {
  /** The mean of -log p over its tokens, and e to that. */
  readonly loss: number;
  readonly perplexity: number;
  /** Tokens that have one before them. */
  readonly tokens: number;
}

/** What a model says of a text. */
export type Prediction = LabelPrediction | NumberPrediction | TextPrediction;

/** A fine-tuned model with its tokenizer; made by {@linkcode loadPredictor}. Dispose it to free the parameters. */
export class Predictor implements Disposable {
  /** @param glue the task of GLUE that it was trained on, when it was one */
  constructor(
    readonly classifier: Classifier,
    readonly tokenizer: Tokenizer,
    readonly maxLength: number,
    readonly glue?: string,
  ) {}

  /**
   * A prediction for each text or pair of texts, in their order.
   *
   * @throws {DataError} when a language model is given a text of fewer than two tokens
   * @throws {OptionError} when it is given a pair
   */
  async predict(texts: readonly (string | Example)[], options: PredictOptions = {}): Promise<Prediction[]> {
    const examples = texts.map((text) => typeof text === "string" ? { text } : text);
    const encoded = encodeExamples(examples, this.tokenizer, this.maxLength);
    const { target } = this.classifier;
    if (target === "nextToken") return await this.#score(examples, encoded, options);
    const logits = await predictLogits(this.classifier, encoded, options);
    return logits.map((each) => read(each, target));
  }

  /**
   * The metrics over a table whose labels are known, or of a language model over its texts; or over the file of one.
   *
   * @throws {DataError} when the table cannot be read, lacks a column, or has a label that the model does not know
   */
  async evaluateTable(
    source: string | Table,
    columns: Columns = {},
    options: PredictOptions & Pick<EncodeTableOptions, "tokenCache"> = {},
  ): Promise<TableMetrics> {
    const { classifier, tokenizer, maxLength } = this;
    const table = typeof source === "string" ? await readTable(source) : source;
    const examples = labelledExamples(table, columns, classifier.target);
    const encoded = await encodeTable(examples, tokenizer, { maxLength, tokenCache: options.tokenCache });
    if (classifier.target === "nextToken") requireNextTokensOf(table, encoded);
    return { examples: examples.length, metrics: await evaluate(classifier, encoded, options) };
  }

  [Symbol.dispose](): void {
    this.classifier[Symbol.dispose]();
  }

  async #score(
    examples: readonly Example[],
    encoded: readonly EncodedExample[],
    options: PredictOptions,
  ): Promise<TextPrediction[]> {
    for (const { textPair } of examples) refusePair(textPair);
    requireNextTokens(encoded, (index) => `the text ${JSON.stringify(examples[index]?.text.slice(0, 40))}`);
    const scores = await scoreTexts(this.classifier, encoded, options);
    return scores.map(({ loss, tokens }) => ({ loss: loss / tokens, perplexity: Math.exp(loss / tokens), tokens }));
  }
}

function read(logits: readonly number[], target: LabelTarget | "regression"): Prediction {
  if (target === "regression") return { value: logits[0] ?? NaN };
  const best = argmax(logits);
  return { label: target.labels[best] ?? "", score: probabilities(logits, target)[best] ?? NaN, logits };
}

/** How well a model does on a table. */
export interface TableMetrics {
  /** The number of examples in the table. */
  readonly examples: number;
  readonly metrics: Metrics;
}

/** How {@linkcode loadPredictor} loads. */
export interface PredictorOptions extends Pick<LoadOptions, "device">, HubOptions {
  /** Longer texts are cut to so many tokens. Default: what the model was trained with, else all it has positions for. */
  readonly maxLength?: number | undefined;
}

/**
 * Loads a fine-tuned model and its tokenizer from a folder or from the hub. An adapter's tokenizer may be beside its
 * base.
 *
 * @param model a folder, else a model's name on the hub (`org/name`)
 * @throws {CheckpointError} when the folder holds no fine-tuned model, or its parts do not fit each other
 * @throws {HubError} when there is no such folder, and no such model on the hub either, or it cannot be fetched
 * @throws {OptionError} when `maxLength` is beyond the model's positions
 *
 * @example
 * ```ts ignore
 * using predictor = await loadPredictor("out/demo");
 * const [prediction] = await predictor.predict(["You have won a prize"]);
 * ```
 */
export async function loadPredictor(model: string, options: PredictorOptions = {}): Promise<Predictor> {
  const { maxLength: wanted, revision: _, ...where } = options;
  const folder = await modelFolder(model, options);
  const classifier = await loadClassifier(folder, where);
  try {
    const hasOwn = await exists(`${folder}/tokenizer.json`);
    const tokenizer = await loadTokenizer(hasOwn ? folder : classifier.folder ?? folder);
    requireVocabulary(classifier, tokenizer, folder);
    const maxPositions = longestText(classifier.model.backbone);
    const maxLength = checkedMaxLength(wanted, await trainedMaxLength(folder) ?? maxPositions, maxPositions);
    return new Predictor(classifier, tokenizer, maxLength, await trainedGlueTask(folder));
  } catch (error) {
    classifier[Symbol.dispose]();
    throw error;
  }
}
