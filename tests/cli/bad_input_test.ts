// Bad input: one line on standard error that says what was wrong, a code that is not 0, and nothing half-written.

import assert from "node:assert/strict";
import { join } from "node:path";
import { nvidiaDriver } from "../../src/native/cuda.ts";
import { findLibTorch } from "../../src/native/libtorch.ts";
import { fakeLibTorch, temporaryFolder } from "../native/fakes.ts";
import { fail, runCli, twoAtATime } from "./run_cli.ts";
import { wordPiece, writeCsv, writeTinyModel } from "./tiny_model.ts";

interface Workplace extends Disposable {
  readonly folder: string;
  /** The arguments of a run that would succeed, with some replaced or added. */
  readonly train: (changes?: Record<string, string>) => string[];
  /** A copy of the model, changed. */
  readonly model: (name: string, change: (folder: string) => void) => string;
  /** A new file with this content. */
  readonly file: (name: string, content: string) => string;
}

function workplace(): Workplace {
  const temporary = temporaryFolder();
  const at = (...names: string[]): string => join(temporary.path, ...names);
  Deno.mkdirSync(at("out"));
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 12, (good) => good ? "good" : "bad");
  return {
    folder: temporary.path,
    train: (changes = {}) => {
      const flags = { model: at("model"), train: at("train.csv"), "output-dir": at("out", "new"), "max-steps": "1" };
      return ["train", ...Object.entries({ ...flags, ...changes }).flatMap(([flag, value]) => [`--${flag}`, value])];
    },
    model: (name, change) => {
      writeTinyModel(at(name));
      change(at(name));
      return at(name);
    },
    file: (name, content) => {
      Deno.writeTextFileSync(at(name), content);
      return at(name);
    },
    [Symbol.dispose]: () => {
      assert.deepEqual([...Deno.readDirSync(at("out"))], [], "something was written");
      temporary[Symbol.dispose]();
    },
  };
}

Deno.test("flags that are wrong", async () => {
  using place = workplace();
  const { train } = place;
  await twoAtATime([
    () => fail(["trian"], 2, /unknown command 'trian': did you mean train\?/),
    () => fail([...train(), "--stepz", "3"], 2, /unknown option '--stepz'/),
    () => fail(["train"], 2, /there is no model to fine-tune: give its folder, or its name on the hub \(--model\)/),
    () => fail(["train", "--modell", "x"], 2, /unknown option '--modell'.*--model\b/),
    () => fail(["train", "--model", "x"], 2, /there is no folder to save to: .*\(--output-dir\)/),
    () => fail(train({ k: "0" }), 2, /'--k <count>' argument '0' .*at least 1/),
    () => fail(train({ k: "1.5" }), 2, /'--k <count>' argument '1\.5' .*whole number/),
    () => fail(train({ epochs: "many" }), 2, /'--epochs <count>' argument 'many' .*whole number/),
    () => fail(train({ "learning-rate": "-1" }), 2, /'--learning-rate <rate>' argument '-1' .*above 0/),
    () => fail(train({ method: "best" }), 2, /the method is "best", .*selective, freeze, full, lora/),
    () => fail(train({ method: "full+lora" }), 2, /full cannot be together with lora: it trains every weight/),
    () => fail(train({ method: "lora+lora" }), 2, /lora comes twice/),
    () => fail(train({ device: "gpu" }), 2, /'--device <device>' argument 'gpu' .*cpu, cuda or cuda:N/),
    () => fail(train({ method: "full", k: "4" }), 2, /k is 4, but the method full has no k/),
    () =>
      fail(train({ method: "lora", k: "0.5" }), 2, /k is 0\.5, but the method lora has no k: .*unless it is selective/),
    () => fail(train({ k: "-0.5" }), 2, /'--k <count>' argument '-0\.5' .*share between 0 and 1/),
    () => fail(train({ "lora-r": "4" }), 2, /loraR is 4, but the method selective has none/),
    () => fail(train({ method: "lora", "lora-r": "0" }), 2, /'--lora-r <rank>' argument '0' .*at least 1/),
    () => fail(train({ method: "lora", "lora-targets": "query,," }), 2, /'--lora-targets <names>' .*names, separated/),
    () =>
      fail(
        train({ method: "lora", "lora-targets": "pooler" }),
        2,
        /loraTargets has "pooler", which is no linear map of a layer/,
      ),
    () => fail(train({ "freeze-layers": "1" }), 2, /freezeLayers is 1, but the method selective has none/),
    () => fail(train({ method: "freeze" }), 2, /freeze has to be told how many/),
    () => fail(train({ method: "freeze", "freeze-layers": "4" }), 2, /frozen layers is 4, this model has 3/),
    () => fail(train({ clipping: "layer" }), 2, /clipping is layer, but there is no maximum norm/),
    () => fail(train({ clipping: "some" }), 2, /'--clipping <scope>' argument 'some' .*global, layer/),
    () =>
      fail([...train({ "gradient-accumulation": "2" }), "--optimizer-in-backward"], 2, /2 micro-batches cannot add/),
    () => fail([...train({ "max-grad-norm": "1" }), "--optimizer-in-backward"], 2, /clip by layer/),
    () => fail(train({ "max-length": "65" }), 2, /the maximum length is 65, this model takes 1 to 64 tokens/),
    () => fail(train({ activations: "kept" }), 2, /'--activations <mode>' argument 'kept' .*auto, store, recompute/),
    () => fail(train({ precision: "int8" }), 2, /'--precision <type>' argument 'int8' .*float32, bf16/),
    () => fail(train({ "memory-budget": "5XB" }), 2, /'--memory-budget <bytes>' argument '5XB' .*1400MiB or 2GiB/),
    () => fail(train({ "memory-budget": "0" }), 2, /'--memory-budget <bytes>' argument '0' .*above 0/),
    () => fail(train({ "memory-budget": "1e400" }), 2, /'--memory-budget <bytes>' argument '1e400' .*above 0/),
    () => fail(train({ "memory-budget": "1GiB", activations: "store" }), 2, /they are set to store: use auto/),
    () =>
      fail(
        [...train({ "memory-budget": "307KiB" }), "--quiet"],
        2,
        /budget is 0\.3 MiB, but a step needs about 0\.[4-9] MiB: allow more/,
      ),
    () => fail(["predict", "--model", place.folder, "--logits", "x"], 2, /--logits goes with --json/),
  ]);
});

Deno.test("tables that cannot be used", async () => {
  using place = workplace();
  const { train, file } = place;
  const refuse = (name: string, content: string, line: RegExp, code = 1, changes = {}): () => Promise<void> => () =>
    fail(train({ train: file(name, content), ...changes }), code, line);
  await twoAtATime([
    () => fail(train({ train: "nowhere.csv" }), 1, /nowhere\.csv does not exist/),
    () => fail(train({ train: file("mails.txt", "x") }), 1, /mails\.txt .*\.tsv, \.csv, \.jsonl or \.parquet/),
    refuse("empty.csv", "", /empty\.csv is empty/),
    refuse("header.tsv", "text\tlabel\n", /header\.tsv has a header but no rows/),
    refuse(
      "columns.jsonl",
      '{"body": "x", "label": 1}\n{"body": "y", "label": 2}\n',
      /no column "text", it has: body, label/,
    ),
    refuse("same.csv", "text,label\na,1\nb,1\n", /only one label, "1"/),
    refuse("scores.csv", "text,label\na,1.5\nb,2\n", /numbers such as 1\.5: say whether/, 2),
    refuse("words.csv", "text,label\na,1.5\nb,high\n", /line 3: the label "high" is not a number/, 1, {
      task: "regression",
    }),
    () =>
      fail(
        train({ dev: file("dev.csv", "text,label\na,good\nb,ugly\n") }),
        1,
        /dev\.csv, line 3: the label "ugly" .*bad, good/,
      ),
    () =>
      fail(
        ["eval", "--model", join(place.folder, "model"), "--data", file("range.csv", "text,label\na,3\n")],
        1,
        /label "3"/,
      ),
  ]);
});

Deno.test("models that cannot be used", async () => {
  using place = workplace();
  const { train, model } = place;
  const refuse = (name: string, change: (folder: string) => void, line: RegExp): () => Promise<void> => () =>
    fail(train({ model: model(name, change) }), 1, line);
  await twoAtATime([
    () =>
      fail(
        train({ model: join(place.folder, "none") }),
        1,
        /there is no folder .*\/none, and it is no name of a model/,
      ),
    refuse("no_config", (at) => Deno.removeSync(join(at, "config.json")), /config\.json cannot be read/),
    refuse(
      "large_tokenizer",
      (at) => writeJson(join(at, "tokenizer.json"), wordPiece(121)),
      /has 121 tokens and the model embeds 120/,
    ),
    refuse("truncated", (at) => truncate(weights(at), 100), /is it truncated\?/),
    refuse(
      "long_header",
      (at) => writeHeaderLength(weights(at), 10_000_000n),
      /model\.safetensors is not a valid safetensors file/,
    ),
    refuse("overlap", (at) => changeHeader(weights(at), overlap), /overlaps another tensor's/),
    refuse(
      "dtype",
      (at) => changeHeader(weights(at), (header) => setDtype(header, "I32")),
      /is of type I32, a parameter has to be a float/,
    ),
    refuse(
      "unknown_dtype",
      (at) => changeHeader(weights(at), (header) => setDtype(header, "F99")),
      /has the dtype "F99"/,
    ),
    refuse(
      "renamed",
      (at) => changeHeader(weights(at), rename),
      /unexpected bert\.embeddings\.wort.*; missing bert\.embeddings\.word/,
    ),
    refuse(
      "narrow",
      (at) => changeConfig(at, { intermediate_size: 32 }),
      /does not fit its config\.json: .* is \[64,32\] and not \[32,32\]/,
    ),
    refuse("shallow", (at) => changeConfig(at, { num_hidden_layers: 4 }), /lacks bert\.encoder\.layer\.3\./),
    refuse("other", (at) => changeConfig(at, { model_type: "gpt9" }), /model_type "gpt9" is not known/),
  ]);
});

Deno.test("places that cannot be written", async () => {
  using place = workplace();
  const { train, folder } = place;
  await twoAtATime([
    () => fail(train({ "output-dir": join(folder, "model") }), 1, /model exists already/),
    () => fail(train({ "output-dir": join(folder, "train.csv", "new") }), 1, /train\.csv\/new cannot be written/),
  ]);
});

Deno.test("machines that lack something", async () => {
  using place = workplace();
  const { folder, train } = place;
  const libtorch = await findLibTorch();
  const bare = { PATH: join(folder, "nothing"), CXX: "", FEWTUNE_CACHE: join(folder, "cache") };
  const noCuda = (): Promise<void> =>
    fail(train({ device: "cuda" }), 1, /the device cuda cannot be used: no NVIDIA driver/);
  const old = fakeLibTorch(join(folder, "old"), "2.1.0");
  await twoAtATime([
    ...(await nvidiaDriver() ? [] : [noCuda]),
    () =>
      fail([...train(), "--quiet"], 1, /no LibTorch in .*"fewtune setup"/, { env: { ...bare, FEWTUNE_LIBTORCH: "" } }),
    () =>
      fail([...train(), "--quiet"], 1, /LibTorch 2\.1\.0 in .* cannot be used/, {
        env: { ...bare, FEWTUNE_LIBTORCH: old },
      }),
    () =>
      fail([...train(), "--quiet"], 1, /g\+\+ is not on the PATH/, {
        env: { ...bare, FEWTUNE_LIBTORCH: libtorch?.root ?? "" },
      }),
  ]);
});

Deno.test("a loss that is no number stops the run and names the step; its options and its log stay", async () => {
  using place = workplace();
  const args = place.train({ "learning-rate": "1e30", "max-steps": "20" });
  await fail([...args, "--quiet"], 1, /the loss is NaN at step \d+: .*lower learning rate/);
  const left = [...Deno.readDirSync(join(place.folder, "out", "new"))].map(({ name }) =>
    name.replace(/^events.*/, "events")
  );
  assert.deepEqual(left.sort(), ["events", "metrics.jsonl", "train_config.json"]);
  Deno.removeSync(join(place.folder, "out", "new"), { recursive: true });
});

Deno.test("--verbose shows where an error comes from", async () => {
  using place = workplace();
  const { code, stderr } = await runCli([...place.train({ train: "nowhere.csv" }), "--verbose"]);
  assert.equal(code, 1);
  assert.match(stderr, /^DataError: nowhere\.csv does not exist\n +at .*table\.ts/);
});

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

function weights(folder: string): string {
  return join(folder, "model.safetensors");
}

function writeJson(path: string, value: unknown): void {
  Deno.writeTextFileSync(path, JSON.stringify(value));
}

function changeConfig(folder: string, fields: Record<string, unknown>): void {
  const path = join(folder, "config.json");
  writeJson(path, { ...JSON.parse(Deno.readTextFileSync(path)), ...fields });
}

function truncate(path: string, bytes: number): void {
  Deno.truncateSync(path, Deno.statSync(path).size - bytes);
}

function writeHeaderLength(path: string, length: bigint): void {
  const bytes = Deno.readFileSync(path);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  Deno.writeFileSync(path, bytes);
}

function changeHeader(path: string, change: (header: Header) => Header): void {
  const bytes = Deno.readFileSync(path);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const changed = new TextEncoder().encode(JSON.stringify(change(header)));
  Deno.writeFileSync(path, new Uint8Array([...new Uint8Array(8), ...changed, ...bytes.subarray(8 + length)]));
  writeHeaderLength(path, BigInt(changed.length));
}

const embedding = "bert.embeddings.word_embeddings.weight";

function overlap(header: Header): Header {
  const [first, second] = Object.values(header).filter(({ data_offsets }) => data_offsets?.length === 2)
    .sort((a, b) => a.data_offsets[0] - b.data_offsets[0]);
  if (first && second) second.data_offsets = second.data_offsets.map((at) => at - 4) as [number, number];
  return header;
}

function setDtype(header: Header, dtype: string): Header {
  const entry = header[embedding];
  return entry ? { ...header, [embedding]: { ...entry, dtype } } : header;
}

function rename({ [embedding]: entry, ...rest }: Header): Header {
  return entry ? { ...rest, [embedding.replace("word_", "wort_")]: entry } : rest;
}
