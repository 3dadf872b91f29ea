// Seven tasks of GLUE (Wang et al. 2019): where they are on the hub, how GLUE's own files hold them, how they are scored.

/** Where a column of GLUE's files comes from: a column of the hub's dataset, or nothing where that has none. */
export type TsvColumn = readonly [header: string, from: string | null];

/** One of GLUE's files: the split that it holds, and its columns. */
export interface TsvFile {
  readonly name: string;
  readonly split: string;
  readonly columns: readonly TsvColumn[];
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
  /** The labels in GLUE's files, in the order of the hub's ids. */
  readonly labels: readonly string[] | "regression";
  /** What GLUE reports, by the names that `evaluate` gives them. */
  readonly metrics: readonly string[];
  readonly files: readonly TsvFile[];
  /** Whether the files begin with the names of their columns. */
  readonly hasHeader: boolean;
}

/** The dataset on the hub. */
export const glueDataset = "nyu-mll/glue";

function trainAndDev(columns: readonly TsvColumn[]): TsvFile[] {
  return [{ name: "train.tsv", split: "train", columns }, { name: "dev.tsv", split: "validation", columns }];
}

const annotators = ["label1", "label2", "label3", "label4", "label5"];

// In train the one annotator's label is the gold label; in dev the hub has the gold label alone.
function mnliColumns(labels: readonly string[], from: string | null): TsvColumn[] {
  return [
    ["index", "idx"],
    ...["promptID", "pairID", "genre"].map((name) => [name, null] as const),
    ...["sentence1_binary_parse", "sentence2_binary_parse"].map((name) => [name, null] as const),
    ...["sentence1_parse", "sentence2_parse"].map((name) => [name, null] as const),
    ["sentence1", "premise"],
    ["sentence2", "hypothesis"],
    ...labels.map((name) => [name, from] as const),
    ["gold_label", "label"],
  ];
}

/** The tasks. */
export const glueTasks: readonly GlueTask[] = [
  {
    name: "CoLA",
    config: "cola",
    text: "sentence",
    labels: ["0", "1"],
    metrics: ["matthews"],
    // The first column is the sentence's source, the third the mark of its author.
    files: trainAndDev([["source", null], ["label", "label"], ["mark", null], ["sentence", "sentence"]]),
    hasHeader: false,
  },
  {
    name: "SST-2",
    config: "sst2",
    text: "sentence",
    labels: ["0", "1"],
    metrics: ["accuracy"],
    files: trainAndDev([["sentence", "sentence"], ["label", "label"]]),
    hasHeader: true,
  },
  {
    name: "MRPC",
    config: "mrpc",
    text: "sentence1",
    textPair: "sentence2",
    labels: ["0", "1"],
    metrics: ["f1", "accuracy"],
    files: trainAndDev([
      ["Quality", "label"],
      ["#1 ID", null],
      ["#2 ID", null],
      ["#1 String", "sentence1"],
      ["#2 String", "sentence2"],
    ]),
    hasHeader: true,
  },
  {
    name: "QQP",
    config: "qqp",
    text: "question1",
    textPair: "question2",
    labels: ["0", "1"],
    metrics: ["f1", "accuracy"],
    files: trainAndDev([
      ["id", "idx"],
      ["qid1", null],
      ["qid2", null],
      ["question1", "question1"],
      ["question2", "question2"],
      ["is_duplicate", "label"],
    ]),
    hasHeader: true,
  },
  {
    name: "MNLI",
    config: "mnli",
    text: "premise",
    textPair: "hypothesis",
    labels: ["entailment", "neutral", "contradiction"],
    metrics: ["accuracy"],
    files: [
      { name: "train.tsv", split: "train", columns: mnliColumns(["label1"], "label") },
      { name: "dev_matched.tsv", split: "validation_matched", columns: mnliColumns(annotators, null) },
      { name: "dev_mismatched.tsv", split: "validation_mismatched", columns: mnliColumns(annotators, null) },
    ],
    hasHeader: true,
  },
  {
    name: "QNLI",
    config: "qnli",
    text: "question",
    textPair: "sentence",
    labels: ["entailment", "not_entailment"],
    metrics: ["accuracy"],
    files: trainAndDev([["index", "idx"], ["question", "question"], ["sentence", "sentence"], ["label", "label"]]),
    hasHeader: true,
  },
  {
    name: "STS-B",
    config: "stsb",
    text: "sentence1",
    textPair: "sentence2",
    labels: "regression",
    metrics: ["pearson", "spearman"],
    files: trainAndDev([
      ["index", "idx"],
      ...["genre", "filename", "year", "old_index", "source1", "source2"].map((name) => [name, null] as const),
      ["sentence1", "sentence1"],
      ["sentence2", "sentence2"],
      ["score", "label"],
    ]),
    hasHeader: true,
  },
];
