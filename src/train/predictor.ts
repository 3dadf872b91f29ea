// A fine-tuned model with its tokenizer: texts in, labels with probabilities or numbers out.

import { encodeExamples } from "../data/encode.ts";
import type { Example } from "../data/examples.ts";
import { readTable } from "../data/table.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { Classifier } from "../models/classifier.ts";
import { loadClassifier } from "../methods/load.ts";
import type { LoadOptions } from "../models/load.ts";
import { exists } from "../native/cache.ts";
import { argmax, evaluate, type Metrics, predictLogits, type PredictOptions, probabilities } from "./evaluate.ts";
import { checkedMaxLength, requireVocabulary } from "./fit.ts";
import { type Columns, encodeInChunks, labelledExamples } from "./table_data.ts";
import { trainedMaxLength } from "./training_record.ts";

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

/** What a model says of a text. */
export type Prediction = LabelPrediction | NumberPrediction;

/** A fine-tuned model with its tokenizer; made by {@linkcode loadPredictor}. Dispose it to free the parameters. */
export class Predictor implements Disposable {
  constructor(readonly classifier: Classifier, readonly tokenizer: Tokenizer, readonly maxLength: number) {}

  /** A prediction for each text or pair of texts, in their order. */
  async predict(texts: readonly (string | Example)[], options: PredictOptions = {}): Promise<Prediction[]> {
    const examples = texts.map((text) => typeof text === "string" ? { text } : text);
    const encoded = encodeExamples(examples, this.tokenizer, this.maxLength);
    const logits = await predictLogits(this.classifier, encoded, options);
    return logits.map((each) => this.#read(each));
  }

  /**
   * The metrics over a table file whose labels are known.
   *
   * @throws {DataError} when the table cannot be read, lacks a column, or has a label that the model does not know
   */
  async evaluateTable(path: string, columns: Columns = {}, options: PredictOptions = {}): Promise<TableMetrics> {
    const { classifier, tokenizer, maxLength } = this;
    const examples = labelledExamples(await readTable(path), columns, classifier.target);
    const encoded = await encodeInChunks(examples, tokenizer, { maxLength });
    return { examples: examples.length, metrics: await evaluate(classifier, encoded, options) };
  }

  [Symbol.dispose](): void {
    this.classifier[Symbol.dispose]();
  }

  #read(logits: readonly number[]): Prediction {
    const { target } = this.classifier;
    if (target === "regression") return { value: logits[0] ?? NaN };
    const best = argmax(logits);
    return { label: target.labels[best] ?? "", score: probabilities(logits, target)[best] ?? NaN, logits };
  }
}

/** How well a model does on a table. */
export interface TableMetrics {
  /** The number of examples in the table. */
  readonly examples: number;
  readonly metrics: Metrics;
}

/** How {@linkcode loadPredictor} loads. */
export interface PredictorOptions extends Pick<LoadOptions, "device"> {
  /** Longer texts are cut to so many tokens. Default: what the model was trained with, else all it has positions for. */
  readonly maxLength?: number | undefined;
}

/**
 * Loads a fine-tuned model and its tokenizer from a folder. An adapter's tokenizer may be beside its base.
 *
 * @throws {CheckpointError} when the folder holds no fine-tuned model, or its parts do not fit each other
 * @throws {OptionError} when `maxLength` is beyond the model's positions
 *
 * @example
 * ```ts ignore
 * using predictor = await loadPredictor("out/demo");
 * const [prediction] = await predictor.predict(["You have won a prize"]);
 * ```
 */
export async function loadPredictor(folder: string, options: PredictorOptions = {}): Promise<Predictor> {
  const { maxLength: wanted, ...where } = options;
  const classifier = await loadClassifier(folder, where);
  try {
    const hasOwn = await exists(`${folder}/tokenizer.json`);
    const tokenizer = await loadTokenizer(hasOwn ? folder : classifier.folder ?? folder);
    requireVocabulary(classifier, tokenizer, folder);
    const { maxPositions } = classifier.model.backbone;
    const maxLength = checkedMaxLength(wanted, await trainedMaxLength(folder) ?? maxPositions, maxPositions);
    return new Predictor(classifier, tokenizer, maxLength);
  } catch (error) {
    classifier[Symbol.dispose]();
    throw error;
  }
}
