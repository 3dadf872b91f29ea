// The tasks of GLUE (Wang et al. 2019): their texts and labels, where GLUE's own files and the hub hold them, how they are scored.
import { OptionError } from "../../errors.ts";

/** Where a column of GLUE's files comes from: a column of the hub's dataset, or nothing where that has none. */
export type TsvColumn = readonly [header: string, from: string | null];

/** What a file of a task is for. Only MNLI has mismatched ones: texts of other kinds than those of its training. */
export type GluePart = "train" | "dev" | "devMismatched" | "test" | "testMismatched";

/** One of GLUE's own files. */
export interface GlueFile {
  readonly part: GluePart;
  readonly name: string;
  /** The hub's split with the same rows. */
  readonly split: string;
  readonly columns: readonly TsvColumn[];
  /** Whether it begins with the names of its columns. */
  readonly hasHeader: boolean;
  /** Of a test file, what GLUE's server wants the predictions' file to be called. */
  readonly submission?: string;
}

/** A task. */
export interface GlueTask {
  /** As GLUE names it, and its folder. */
  readonly name: string;
  /** The configuration of {@linkcode glueDataset} that holds it. */
  readonly config: string;
  /** The dataset's columns of the texts. */
  readonly text: string;
  readonly textPair?: string;
  /** The hub's names of the classes, in the order of their ids. */
  readonly labels: readonly string[] | "regression";
  /** The classes as GLUE's files and its server write them. Default: as `labels`. */
  readonly writtenLabels?: readonly string[];
  /** What GLUE reports, by the names that `evaluate` gives them. */
  readonly metrics: readonly string[];
  readonly files: readonly GlueFile[];
}

/** The dataset on the hub. */
export const glueDataset = "nyu-mll/glue";

/** The column of the labels, and that of the rows' numbers, in the hub's dataset. */
export const labelColumn = "label";
export const indexColumn = "idx";

type Columns = readonly TsvColumn[];

/** The files of a task, of which dev has the columns of train. */
function files(name: string, labelled: Columns, unlabelled: Columns): GlueFile[] {
  const rest = { columns: labelled, hasHeader: true };
  return [
    { part: "train", name: "train.tsv", split: "train", ...rest },
    { part: "dev", name: "dev.tsv", split: "validation", ...rest },
    {
      ...{ part: "test", name: "test.tsv", split: "test", columns: unlabelled },
      ...{ hasHeader: true, submission: `${name}.tsv` },
    },
  ];
}

function empty(...names: string[]): TsvColumn[] {
  return names.map((name) => [name, null] as const);
}

const index = ["index", indexColumn] as const;

/** Columns of the hub's that GLUE's files call the same. */
function same(...names: string[]): TsvColumn[] {
  return names.map((name) => [name, name] as const);
}

const mnliTexts: Columns = [
  index,
  ...empty("promptID", "pairID", "genre", "sentence1_binary_parse", "sentence2_binary_parse"),
  ...empty("sentence1_parse", "sentence2_parse"),
  ["sentence1", "premise"],
  ["sentence2", "hypothesis"],
];
// In train the one annotator's label is the gold label; in dev the hub has the gold label alone.
const mnliTrain: Columns = [...mnliTexts, ["label1", labelColumn], ["gold_label", labelColumn]];
const mnliDev: Columns = [
  ...mnliTexts,
  ...empty("label1", "label2", "label3", "label4", "label5"),
  ["gold_label", labelColumn],
];
const mnliFiles: readonly Omit<GlueFile, "hasHeader">[] = [
  { part: "train", name: "train.tsv", split: "train", columns: mnliTrain },
  { part: "dev", name: "dev_matched.tsv", split: "validation_matched", columns: mnliDev },
  { part: "devMismatched", name: "dev_mismatched.tsv", split: "validation_mismatched", columns: mnliDev },
  { part: "test", name: "test_matched.tsv", split: "test_matched", columns: mnliTexts, submission: "MNLI-m.tsv" },
  {
    ...{ part: "testMismatched", name: "test_mismatched.tsv", split: "test_mismatched" },
    ...{ columns: mnliTexts, submission: "MNLI-mm.tsv" },
  },
];

// The source of the sentence, its label, the mark of its author, and the sentence, without a header but in test.
const colaLabelled: Columns = [...empty("source"), ...same(labelColumn), ...empty("mark"), ...same("sentence")];

const mrpcTexts: Columns = [
  ...empty("#1 ID", "#2 ID"),
  ["#1 String", "sentence1"],
  ["#2 String", "sentence2"],
];

const stsbTexts: Columns = [
  index,
  ...empty("genre", "filename", "year", "old_index", "source1", "source2"),
  ...same("sentence1", "sentence2"),
];

/** The tasks. */
export const glueTasks: readonly GlueTask[] = [
  {
    name: "CoLA",
    config: "cola",
    text: "sentence",
    labels: ["unacceptable", "acceptable"],
    writtenLabels: ["0", "1"],
    metrics: ["matthews"],
    files: files("CoLA", colaLabelled, [index, ...same("sentence")])
      .map((file) => ({ ...file, hasHeader: file.part === "test" })),
  },
  {
    name: "SST-2",
    config: "sst2",
    text: "sentence",
    labels: ["negative", "positive"],
    writtenLabels: ["0", "1"],
    metrics: ["accuracy"],
    files: files("SST-2", same("sentence", labelColumn), [index, ...same("sentence")]),
  },
  {
    name: "MRPC",
    config: "mrpc",
    text: "sentence1",
    textPair: "sentence2",
    labels: ["not_equivalent", "equivalent"],
    writtenLabels: ["0", "1"],
    metrics: ["f1", "accuracy"],
    files: files("MRPC", [["Quality", labelColumn], ...mrpcTexts], [index, ...mrpcTexts]),
  },
  {
    name: "QQP",
    config: "qqp",
    text: "question1",
    textPair: "question2",
    labels: ["not_duplicate", "duplicate"],
    writtenLabels: ["0", "1"],
    metrics: ["f1", "accuracy"],
    files: files(
      "QQP",
      [["id", indexColumn], ...empty("qid1", "qid2"), ...same("question1", "question2"), ["is_duplicate", labelColumn]],
      [["id", indexColumn], ...same("question1", "question2")],
    ),
  },
  {
    name: "MNLI",
    config: "mnli",
    text: "premise",
    textPair: "hypothesis",
    labels: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
    files: mnliFiles.map((file) => ({ ...file, hasHeader: true })),
  },
  {
    name: "QNLI",
    config: "qnli",
    text: "question",
    textPair: "sentence",
    labels: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    files: files("QNLI", [index, ...same("question", "sentence", labelColumn)], [
      index,
      ...same("question", "sentence"),
    ]),
  },
  {
    name: "RTE",
    config: "rte",
    text: "sentence1",
    textPair: "sentence2",
    labels: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    files: files("RTE", [index, ...same("sentence1", "sentence2", labelColumn)], [
      index,
      ...same("sentence1", "sentence2"),
    ]),
  },
  {
    name: "STS-B",
    config: "stsb",
    text: "sentence1",
    textPair: "sentence2",
    labels: "regression",
    metrics: ["pearson", "spearman"],
    files: files("STS-B", [...stsbTexts, ["score", labelColumn]], stsbTexts),
  },
];

/** The task of this name, as GLUE or the hub writes it, in any case: `SST-2`, `sst2`. Throws {@linkcode OptionError}. */
export function glueTaskNamed(name: string): GlueTask {
  const task = glueTasks.find(({ config }) => config === plainName(name));
  if (task) return task;
  throw new OptionError(
    `${JSON.stringify(name)} is no task of GLUE here, they are: ${glueTasks.map(({ name }) => name).join(", ")}`,
  );
}

/** A task's or folder's name without case, dashes and underscores: the name of the hub's configuration. */
export function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, "");
}

/** The name of each class by every way of writing it: its name, as GLUE's files have it, and its id. */
export function labelSpellings({ labels, writtenLabels }: GlueTask): ReadonlyMap<string, string> {
  if (labels === "regression") return new Map();
  return new Map(
    labels.flatMap((name, id) => [[String(id), name], [writtenLabels?.[id] ?? name, name], [name, name]] as const),
  );
}
