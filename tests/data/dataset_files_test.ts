// Which files of a dataset are which split: cards as they are on the hub, the usual layouts, and patterns.
import assert from "node:assert/strict";
import { readDatasetCard } from "../../src/data/dataset_card.ts";
import { type ConfigFiles, convertedFiles, datasetFiles } from "../../src/data/dataset_files.ts";
import { matchesPattern } from "../../src/data/glob.ts";
import { DataError } from "../../src/errors.ts";

function plain(files: ConfigFiles): Record<string, Record<string, readonly string[]>> {
  return Object.fromEntries([...files].map(([config, splits]) => [config, Object.fromEntries(splits)]));
}

function filesOf(paths: readonly string[], head = ""): Record<string, Record<string, readonly string[]>> {
  return plain(datasetFiles(paths, readDatasetCard(head === "" ? "" : `---\n${head}\n---\n# A dataset\n`, "org/name")));
}

const glueHead = `
license: other
dataset_info:
- config_name: cola
  features:
  - name: sentence
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': unacceptable
          '1': acceptable
  - name: idx
    dtype: int32
- config_name: stsb
  features:
  - name: label
    dtype: float32
configs:
- config_name: cola
  data_files:
  - split: test
    path: cola/test-*
  - split: train
    path: cola/train-*
- config_name: mnli
  default: true
  data_files:
  - split: validation_matched
    path: mnli/validation_matched-*
  - split: train
    path:
    - mnli/train-00000-*
    - mnli/train-00001-*
- config_name: gone
  data_files:
  - split: train
    path: gone/train-*`;

const gluePaths = [
  ".gitattributes",
  "README.md",
  "cola/test-00000-of-00001.parquet",
  "cola/train-00000-of-00001.parquet",
  "mnli/train-00001-of-00002.parquet",
  "mnli/train-00000-of-00002.parquet",
  "mnli/validation_matched-00000-of-00001.parquet",
  "mnli/validation_mismatched-00000-of-00001.parquet",
];

Deno.test("a card says which files are which split, and what its classes are called", () => {
  assert.deepEqual(filesOf(gluePaths, glueHead), {
    cola: { test: [gluePaths[2]], train: [gluePaths[3]] },
    mnli: { validation_matched: [gluePaths[6]], train: [gluePaths[5], gluePaths[4]] },
  });
  const { classNames, configs } = readDatasetCard(`---${glueHead}\n---\n`, "org/name");
  assert.deepEqual([...classNames.get("cola") ?? []], [["label", ["unacceptable", "acceptable"]]]);
  assert.deepEqual([...classNames.get("stsb") ?? []], []);
  assert.deepEqual([...configs].filter(([, { isDefault }]) => isDefault).map(([name]) => name), ["mnli"]);
});

Deno.test("without configurations in the card, files are found where they usually are", () => {
  assert.deepEqual(filesOf(gluePaths), {
    cola: { test: [gluePaths[2]], train: [gluePaths[3]] },
    mnli: {
      train: [gluePaths[5], gluePaths[4]],
      validation_matched: [gluePaths[6]],
      validation_mismatched: [gluePaths[7]],
    },
  });
  assert.deepEqual(filesOf(["data/train-00000-of-00001-1b2c3d.parquet", "data/test-00000-of-00001-4e5f.parquet"]), {
    default: {
      train: ["data/train-00000-of-00001-1b2c3d.parquet"],
      test: ["data/test-00000-of-00001-4e5f.parquet"],
    },
  });
  assert.deepEqual(filesOf(["train.csv", "dev.jsonl", "dev.csv", "notes.csv", "model.bin", "en/train/0.tsv"]), {
    default: { train: ["train.csv"], dev: ["dev.jsonl"] },
    en: { train: ["en/train/0.tsv"] },
  });
  assert.deepEqual(filesOf(["train_1.csv", "train_2.csv", "data/custom-00000-of-00001.parquet"]), {
    default: { train: ["train_1.csv", "train_2.csv"], custom: ["data/custom-00000-of-00001.parquet"] },
  });
});

Deno.test("the shorter forms of a card: one pattern, several, a folder, the usual layout inside it", () => {
  const paths = ["a/x.csv", "a/y.csv", "b/train.tsv", "b/test.tsv", "c/deep/er/z.parquet"];
  assert.deepEqual(filesOf(paths, `configs:\n- data_files: "a/*.csv"`), { default: { train: ["a/x.csv", "a/y.csv"] } });
  assert.deepEqual(
    filesOf(paths, `configs: [{config_name: one, data_dir: ./a/, data_files: [x.csv]}, {config_name: b, data_dir: b}]`),
    { one: { train: ["a/x.csv"] }, b: { train: ["b/train.tsv"], test: ["b/test.tsv"] } },
  );
  assert.deepEqual(filesOf(paths, `configs: [{config_name: b}]`), {
    b: { train: ["b/train.tsv"], test: ["b/test.tsv"] },
  });
  assert.deepEqual(filesOf(paths, `configs: {config_name: c, data_files: {split: all, path: "c/**"}}`), {
    c: { all: ["c/deep/er/z.parquet"] },
  });
});

Deno.test("the files that the hub converts by itself", () => {
  const paths = ["cola/train/0001.parquet", "cola/train/0000.parquet", "cola/partial-test/0000.parquet", "x.parquet"];
  assert.deepEqual(plain(convertedFiles(paths)), {
    cola: { train: ["cola/train/0000.parquet", "cola/train/0001.parquet"], "partial-test": [paths[2]] },
  });
});

Deno.test("cards of any other shape declare nothing, and YAML that is none is refused", () => {
  const paths = ["train.csv"];
  const usual = { default: { train: ["train.csv"] } };
  for (const head of ["license: mit", "configs:", "configs: 3", "- a\n- b", "dataset_info: [1, {features: {a: 1}}]"]) {
    assert.deepEqual(filesOf(paths, head), usual, head);
  }
  for (const text of ["", "# Title", "---\nno end", "text\n---\nconfigs: [{config_name: x}]\n---\n"]) {
    assert.deepEqual(plain(datasetFiles(paths, readDatasetCard(text, "org/name"))), usual);
  }
  const bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" +
    [..."bcdefghij"].map((name, index) => `${name}: &${name} [${`*${"abcdefghi"[index]}, `.repeat(9)}]`).join("\n");
  for (const head of ["a: [", "a: b: c", "\tx: 1", bomb]) {
    assert.throws(() => filesOf(paths, head), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, /^the card \(README\.md\) of org\/name cannot be read: [^\n]+$/);
      return true;
    });
  }
});

Deno.test("patterns", () => {
  const cases: [pattern: string, matching: string[], other: string[]][] = [
    ["data/train-*", ["data/train-0.parquet"], ["data/test-0.parquet", "data/train-0/x", "x/data/train-0"]],
    ["**/train.csv", ["train.csv", "a/train.csv", "a/b/train.csv"], ["atrain.csv", "train.csv/x"]],
    ["a/**", ["a/b", "a/b/c.csv"], ["b/a/c", "a"]],
    ["a/**/c", ["a/c", "a/b/c", "a/b/d/c"], ["a/bc", "abc"]],
    ["{en,de}/{x,y}?.csv", ["en/x1.csv", "de/y2.csv"], ["fr/x1.csv", "en/x.csv", "en/z1.csv"]],
    ["x[0-3a].csv", ["x0.csv", "x3.csv", "xa.csv"], ["x4.csv", "x-.csv", "x.csv"]],
    ["x[!0-3].csv", ["x4.csv"], ["x0.csv"]],
    ["./a.csv", ["a.csv"], ["xa.csv", "a.csvx"]],
    ["a+(b).csv", ["a+(b).csv"], ["aab.csv"]],
    ["ü*🙂", ["üx🙂", "ü🙂"], ["ü🙃"]],
    ["a[b", ["a[b"], ["ab"]],
  ];
  for (const [pattern, matching, other] of cases) {
    for (const path of matching) assert.ok(matchesPattern(path, pattern), `${path} ${pattern}`);
    for (const path of other) assert.ok(!matchesPattern(path, pattern), `${path} ${pattern}`);
  }
  const started = performance.now();
  assert.ok(!matchesPattern("a".repeat(2000), "*a".repeat(500) + "b"));
  assert.ok(!matchesPattern("b", "{a,c}".repeat(200)));
  assert.ok(performance.now() - started < 5000);
});
