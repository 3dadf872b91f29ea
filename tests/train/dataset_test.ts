// Datasets on a hub as tables: configurations, splits, files in parts, what the hub converts, and the cache.

import assert from "node:assert/strict";
import { columnOf } from "../../src/data/table_column.ts";
import { discoverLabels } from "../../src/data/labels.ts";
import { DataError, type FewtuneError, HubError, OptionError } from "../../src/errors.ts";
import { openDataset } from "../../src/train/dataset.ts";
import { labelledExamples } from "../../src/train/table_data.ts";
import { readTableFrom, readTables } from "../../src/train/table_sources.ts";
import { reviews } from "../cli/tiny_model.ts";
import { commitTo } from "../hub/server.ts";
import { hubPlace } from "../hub/support.ts";
import { runPython } from "../support/python.ts";
import { filesUnder } from "../support/served_dataset.ts";

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const expected = reviews(40).map(({ text, good }) => ({ text, label: good ? "good" : "bad" }));
await runPython("labelled_parquet.py", [folder], expected.map((row) => JSON.stringify(row)).join("\n"));
const { "nameless.parquet": nameless = new Uint8Array(), ...files } = filesUnder(folder);

function refusal(kind: new (message: string) => FewtuneError, line: RegExp): (error: unknown) => boolean {
  return (error: unknown): boolean => {
    assert.ok(error instanceof kind, String(error));
    assert.match(error.message, line);
    assert.ok(!error.message.includes("\n"));
    return true;
  };
}

Deno.test("a split is read from all its parts, with the classes in the order of the dataset", async () => {
  await using place = hubPlace();
  const { revisions } = place.hub.add("dataset", "org/reviews", files);
  const dataset = await openDataset("org/reviews", place.options);
  assert.deepEqual([dataset.name, dataset.commit], ["org/reviews", revisions.get("main")?.id]);
  assert.deepEqual(dataset.splits, ["test", "train", "validation"]);
  const table = await dataset.readSplit("train");
  assert.deepEqual(table.rows.map((row) => ({ ...row })), expected);
  assert.deepEqual([table.path, table.lines.length, table.lines.at(-1), table.unit], [
    ...["org/reviews (train)", 40, 40, "row"],
  ]);
  assert.deepEqual(discoverLabels(table, "label").names, ["good", "bad"]);
  const numbered = labelledExamples(table, {}, { labels: ["LABEL_0", "LABEL_1"] });
  assert.deepEqual(numbered.map(({ label }) => label), expected.map(({ label }) => label === "good" ? 0 : 1));
  assert.throws(() => columnOf(table, "picture"), refusal(DataError, /^org\/reviews \(train\): .* lists or structs$/));
  const hidden = await dataset.readSplit("test");
  assert.throws(
    () => columnOf(hidden, "label"),
    refusal(DataError, /"label" cannot be used, row 1 has no value in it$/),
  );
});

Deno.test("a wrong name, configuration, split or column: the message says what there is", async () => {
  await using place = hubPlace();
  const csv = "body,stars\na,1\nb,2\n";
  place.hub.add("dataset", "org/two", { "en/train.csv": csv, "fr/train.csv": csv, "fr/dev.csv": csv });
  place.hub.add("dataset", "org/none", { "README.md": "# Nothing", "archive.zip": "x" });
  const { options } = place;
  const refuse = (name: string, kind: typeof DataError | typeof HubError, line: RegExp): Promise<void> =>
    assert.rejects(openDataset(name, options), refusal(kind, line));
  await refuse("org/two", DataError, /^org\/two has several configurations, say which \(org\/two:en\): en, fr$/);
  await refuse("org/two:de", DataError, /^org\/two has no configuration "de", it has: en, fr$/);
  await refuse("org/none", DataError, /^org\/none has no tables .*, and none that the hub converted: /);
  await refuse("org/absent", HubError, /org\/absent/);
  await refuse("a/b/c", HubError, /a\/b\/c/);
  const dataset = await openDataset("org/two:fr", options);
  assert.equal(dataset.name, "org/two:fr");
  await assert.rejects(
    dataset.readSplit("test"),
    refusal(DataError, /^org\/two:fr has no split "test", it has: train, dev$/),
  );
  const table = await dataset.readSplit("dev");
  assert.throws(
    () => columnOf(table, "text"),
    refusal(DataError, /^org\/two:fr \(dev\) has no column "text", it has: body, stars$/),
  );
});

Deno.test("a card says where files are, which configuration is meant, and names classes that the files do not", async () => {
  await using place = hubPlace();
  const card = `---
configs:
- config_name: small
  default: true
  data_files: [{split: train, path: "odd/*.parquet"}]
- config_name: other
  data_files: other.jsonl
dataset_info:
  config_name: small
  features:
  - {name: label, dtype: {class_label: {names: {"0": fine, "1": poor}}}}
---
`;
  const content = { "README.md": card, "odd/place.parquet": nameless, "other.jsonl": '{"text": "a", "label": 1}\n' };
  place.hub.add("dataset", "org/card", content);
  const dataset = await openDataset("org/card", place.options);
  assert.equal(dataset.name, "org/card:small");
  assert.deepEqual(columnOf(await dataset.readSplit("train"), "label"), ["fine", "poor", "fine", "poor"]);
  const other = await openDataset("org/card:other", place.options);
  assert.deepEqual((await other.readSplit("train")).rows.map((row) => ({ ...row })), [{ text: "a", label: "1" }]);
});

Deno.test("without tables of its own, those that the hub converted; but none of another revision than was asked for", async () => {
  await using place = hubPlace();
  const repository = place.hub.add("dataset", "org/script", { "README.md": "", "load.py": "" });
  const converted = commitTo(repository, "refs/convert/parquet", {
    "plain/train/0000.parquet": files["data/train-00000-of-00002.parquet"] ?? "",
    "plain/train/0001.parquet": files["data/train-00001-of-00002.parquet"] ?? "",
  });
  const dataset = await openDataset("org/script", place.options);
  assert.deepEqual([dataset.name, dataset.commit, dataset.splits], ["org/script", converted.id, ["train"]]);
  assert.equal((await dataset.readSplit("train")).rows.length, 40);
  await assert.rejects(
    openDataset("org/script", { ...place.options, revision: "main" }),
    refusal(DataError, /has no tables/),
  );
});

Deno.test("a revision is pinned, and what the cache has is read offline; a split in parts only whole", async () => {
  await using place = hubPlace();
  const repository = place.hub.add("dataset", "org/reviews", { "train.csv": "text,label\nold,1\n" });
  const old = repository.revisions.get("main")?.id;
  commitTo(repository, "main", files);
  const pinned = await openDataset("org/reviews", { ...place.options, revision: old });
  assert.deepEqual(columnOf(await pinned.readSplit("train"), "text"), ["old"]);

  const dataset = await openDataset("org/reviews", place.options);
  await dataset.readSplit("validation");
  const asked = place.hub.asked("GET").length;
  const offline = await openDataset("org/reviews", { ...place.options, offline: true });
  assert.equal((await offline.readSplit("validation")).rows.length, 18);
  assert.equal(place.hub.asked("GET").length, asked);
  await assert.rejects(offline.readSplit("train"), refusal(DataError, /no split "train", it has: validation$/));

  const { "data/train-00001-of-00002.parquet": _, ...incomplete } = files;
  commitTo(repository, "main", incomplete);
  const part = await openDataset("org/reviews", place.options);
  await assert.rejects(
    part.readSplit("train"),
    refusal(DataError, /\(train\) is in 2 files, but only 1 are there: data\//),
  );
});

Deno.test("parts with different columns do not belong together", async () => {
  await using place = hubPlace();
  place.hub.add("dataset", "org/odd", { "train_1.csv": "a,b\n1,2\n", "train_2.csv": "a,c\n1,2\n" });
  const dataset = await openDataset("org/odd", place.options);
  await assert.rejects(dataset.readSplit("train"), refusal(DataError, /but only one has the column "[bc]"$/));
});

Deno.test("fine-tuning takes files or a dataset, and validation for dev", async () => {
  await using place = hubPlace();
  place.hub.add("dataset", "org/reviews", files);
  place.hub.add("dataset", "org/only", { "train.csv": "text,label\na,1\n", "test.csv": "text,label\na,1\n" });
  const counts = async (sources: Parameters<typeof readTables>[0]): Promise<unknown[]> => {
    const { train, dev, test } = await readTables(sources, ["text", "label"], place.options);
    return [train.rows.length, dev?.path, test?.path];
  };
  assert.deepEqual(await counts({ dataset: "org/reviews" }), [40, "org/reviews (validation)", undefined]);
  assert.deepEqual(await counts({ dataset: "org/only" }), [1, undefined, undefined]);
  assert.deepEqual(await counts({ dataset: "org/only", devSplit: "test", testSplit: "test" }), [
    ...[1, "org/only (test)", "org/only (test)"],
  ]);
  assert.deepEqual(await counts({ dataset: "org/reviews", trainSplit: "validation" }), [
    ...[18, "org/reviews (validation)", undefined],
  ]);
  const file = `${folder}/nameless.parquet`;
  assert.deepEqual(await counts({ train: file, dev: file }), [4, file, undefined]);
  for (
    const [sources, line] of [
      [{}, /nothing to train on/],
      [{ train: file, dataset: "org/reviews" }, /in .*nameless\.parquet or in the dataset org\/reviews, not in both/],
      [{ dev: file, dataset: "org/reviews" }, /not in both/],
      [{ train: file, devSplit: "dev" }, /"dev" says what of a dataset, but there is none/],
    ] as const
  ) await assert.rejects(counts(sources), refusal(OptionError, line));

  const one = async (source: Parameters<typeof readTableFrom>[0]): Promise<string> =>
    (await readTableFrom(source, ["text"], place.options)).path;
  assert.equal(await one({ dataset: "org/reviews" }), "org/reviews (validation)");
  assert.equal(await one({ dataset: "org/only", split: "test" }), "org/only (test)");
  assert.equal(await one({ data: file }), file);
  await assert.rejects(one({ dataset: "org/only" }), refusal(DataError, /no split "validation", it has: train, test$/));
  await assert.rejects(one({}), refusal(OptionError, /nothing to evaluate on/));
  await assert.rejects(one({ data: file, dataset: "org/only" }), refusal(OptionError, /not in both/));
  await assert.rejects(one({ data: file, split: "test" }), refusal(OptionError, /"test" says what of a dataset/));
});
