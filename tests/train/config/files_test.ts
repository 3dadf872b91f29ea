// Configuration files: what is read from them, and in which words one that cannot be is refused.

import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { configText, OptionError, readConfig, type TrainConfig } from "../../../mod.ts";
import { readPartialConfig } from "../../../src/train/config/read.ts";
import { temporaryFolder } from "../../native/fakes.ts";
import { jsonMutations, mutations } from "../../support/mutate.ts";
import { everyOption } from "../../support/sample_config.ts";

interface Place extends Disposable {
  readonly at: (name: string) => string;
  readonly file: (name: string, text: string | Uint8Array) => string;
}

function place(): Place {
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder.path, name);
  const file = (name: string, text: string | Uint8Array): string => {
    Deno.mkdirSync(dirname(at(name)), { recursive: true });
    Deno.writeFileSync(at(name), typeof text === "string" ? new TextEncoder().encode(text) : text);
    return at(name);
  };
  return { at, file, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

const yaml = `
$schema: ../train_config.schema.json
model: org/small   # on the hub
train: train.tsv
columns: {text: body}
learningRate: 5e-5
memoryBudget: 1400MiB
loraTargets:
  - query
  - value
classWeights: {spam: 2, yes: 0.5}
betas: [0.9, 0.98]
optimizerInBackward: true
k: all
outputDir: out/new
`;

Deno.test("YAML and JSON are read alike: numbers, sizes, lists, switches; paths lead from the file's folder", () => {
  using here = place();
  const { at, file } = here;
  const expected: TrainConfig = {
    ...{ model: "org/small", train: at("runs/train.tsv"), columns: { text: "body" }, learningRate: 5e-5 },
    ...{ memoryBudget: 1400 * 2 ** 20, loraTargets: ["query", "value"], classWeights: { spam: 2, yes: 0.5 } },
    ...{ betas: [0.9, 0.98], optimizerInBackward: true, k: "all", outputDir: at("runs/out/new") },
  };
  assert.deepEqual(readConfig(file("runs/mine.yaml", yaml)), expected);
  assert.deepEqual(readConfig(file("runs/mine.yml", yaml.replaceAll("\n", "\r\n"))), expected);
  const json = { ...expected, train: "train.tsv", outputDir: "./out/new", memoryBudget: "1400MiB" };
  assert.deepEqual(readConfig(file("runs/mine.json", JSON.stringify(json))), expected);
});

Deno.test("a model is the folder beside the file where there is one, and else a name on the hub", () => {
  using here = place();
  const { at, file } = here;
  const model = (): string => readConfig(file("mine.yaml", "model: org/small\noutputDir: out")).model;
  assert.equal(model(), "org/small");
  file("org/small/config.json", "{}");
  assert.equal(model(), at("org/small"));
});

const refusals: readonly (readonly [file: string, text: string, message: string])[] = [
  ["a.yaml", "model: m\ncolumns:\n  txet: a", `line 3: there is no option "columns.txet": did you mean columns.text?`],
  [
    "a.yaml",
    "columns: {title: a}",
    `line 1: there is no option "columns.title": there are columns.text, columns.textPair, columns.label`,
  ],
  ["a.yaml", "model: m\n\nlearning_rate: 1", `line 3: there is no option "learning_rate": did you mean learningRate?`],
  ["a.yaml", "onEvent: 1", `line 1: there is no option "onEvent"`],
  ["a.yaml", "model: m\nlearningRate: fast", `line 2: learningRate is "fast", it has to be a number above 0`],
  ["a.json", `{"model": "m",\n\t"epochs": 1.5}`, `line 2: epochs is 1.5, it has to be a whole number of at least 1`],
  ["a.yaml", "epochs: 1e30", `line 1: epochs is 1e+30, it has to be a whole number of at least 1`],
  [
    "a.yaml",
    "k: .nan",
    `line 1: k is NaN, it has to be a whole number of at least 1, a share between 0 and 1 such as 0.25, or all`,
  ],
  ["a.yaml", "dev:", `line 1: dev is null, it has to be the name of a file`],
  ["a.yaml", `train: " "`, `line 1: train is " ", it has to be the name of a file`],
  ["a.yaml", "device: gpu", `line 1: device is "gpu", it has to be cpu, cuda or cuda:N`],
  ["a.yaml", "threads: 5000", `line 1: threads is 5000, it has to be a whole number from 1 to 1024`],
  ["a.yaml", "precision: fp8", `line 1: precision is "fp8", it has to be float32 or bf16`],
  ["a.yaml", "betas: [0.9, 1]", `line 1: betas is [0.9,1], it has to be two numbers, each of at least 0 and below 1`],
  ["a.yaml", "loraTargets: []", `line 1: loraTargets is [], it has to be a list of names, separated by commas`],
  ["a.yaml", "labelSmoothing: 1", `line 1: labelSmoothing is 1, it has to be a number of at least 0 and below 1`],
  ["a.yaml", "keepBest: yes", `line 1: keepBest is "yes", it has to be true or false`],
  [
    "a.yaml",
    "memoryBudget: 0MiB",
    `line 1: memoryBudget is "0MiB", it has to be a number of bytes above 0, such as 1400MiB or 2GiB`,
  ],
  [
    "a.yaml",
    "classWeights:\n  spam: -1",
    `line 1: classWeights is {"spam":-1}, it has to be balanced, or a number above 0 for each label, such as spam=2,ham=1`,
  ],
  ["a.yaml", "columns: text", `line 1: columns is "text", it has to be the columns' names: text, textPair, label`],
  ["a.yaml", "model: m", `there is no folder to save to: give the name of a new one (outputDir)`],
  ["a.yaml", "outputDir: m", `there is no model to fine-tune: give its folder, or its name on the hub (model)`],
  ["a.yaml", "", `it holds null, and has to hold options with their values`],
  ["a.json", "[1]", `it holds [1], and has to hold options with their values`],
  ["a.json", `{"k": 1, "k": 2}`, `the key "k" is there twice`],
  ["a.yaml", "k: 1\nk: 2", `line 2: it is no YAML that can be read: Map keys must be unique`],
  ["a.yaml", "model: !new m", `line 1: it is no YAML that can be read: Unresolved tag: !new`],
  ["a.toml", "", `a configuration is a .json, .yaml or .yml file`],
];

for (const [name, text, message] of refusals) {
  Deno.test(`refused: ${JSON.stringify(text)}`, () => {
    using here = place();
    const path = here.file(name, text);
    const separator = message.startsWith("line") ? ", " : ": ";
    assert.throws(() => readConfig(path), { name: "OptionError", message: `${path}${separator}${message}` });
  });
}

Deno.test("a file that is not there, is none, or is too large", () => {
  using here = place();
  const { at, file } = here;
  const refuse = (path: string, message: RegExp): void =>
    assert.throws(() => readConfig(path), { name: "OptionError", message });
  refuse(at("none.yaml"), /none\.yaml cannot be read \(No such file/);
  Deno.mkdirSync(at("folder.json"));
  refuse(at("folder.json"), /folder\.json is not a file of at most 1048576 bytes/);
  refuse(file("long.yaml", `model: ${"m".repeat(2 ** 20)}`), /long\.yaml is not a file of at most/);
  refuse(file("cut.json", `{"model": `), /cut\.json: it cannot be read as JSON: /);
});

Deno.test("whatever a file holds, it is read, or refused in one line that names it", () => {
  using here = place();
  const { file } = here;
  const outcomes = { read: 0, refused: 0 };
  const attempt = (name: string, content: string | Uint8Array): void => {
    const path = file(name, content);
    try {
      const config = readPartialConfig(path);
      assert.equal(Object.getPrototypeOf(config), Object.prototype);
      outcomes.read++;
    } catch (error) {
      assert.ok(error instanceof OptionError, String(error));
      assert.ok(error.message.startsWith(path) && error.message.length < 600, error.message);
      assert.doesNotMatch(error.message, /[\p{Cc}\p{Zl}\p{Zp}]/u);
      outcomes.refused++;
    }
  };
  const json = JSON.stringify(everyOption);
  const bytes = new TextEncoder().encode(yaml);
  for (let seed = 0; seed < 250; seed++) {
    attempt("mutated.json", jsonMutations(seed, json));
    attempt("mutated.yaml", mutations(seed, bytes));
  }
  assert.ok(outcomes.read > 50 && outcomes.refused > 200, JSON.stringify(outcomes));
  assert.equal(Object.hasOwn(Object.prototype, "polluted"), false);
});

Deno.test("hostile YAML: aliases that multiply, nesting without end, several documents, sets", () => {
  using here = place();
  const { file } = here;
  const line = (letter: string, of: string): string => `${letter}: &${letter} [${`${of},`.repeat(9)}]\n`;
  const bomb = line("a", "x") + line("b", "*a") + line("c", "*b") + line("d", "*c") + line("e", "*d");
  for (
    const text of [
      bomb,
      "{".repeat(9000),
      "- ".repeat(9000),
      "? ".repeat(9000),
      "k: 1\n---\nk: 2",
      "%YAML 1.1\n---\n!!set {k}",
    ]
  ) {
    const path = file("a.yaml", text);
    assert.throws(() => readPartialConfig(path), (error) => error instanceof OptionError && !/\n/.test(error.message));
  }
});

Deno.test("the stored text is that of a file in which nothing is left open", () => {
  using here = place();
  const { at, file } = here;
  const text = configText({ ...readConfig(file("runs/mine.yaml", yaml)), method: "selective+lora", seed: undefined });
  const stored = JSON.parse(text);
  assert.deepEqual(
    [stored.train, stored.seed, stored.epochs, stored.columns, stored.warmupRatio, stored.maxSteps],
    [at("runs/train.tsv"), 0, 3, { text: "body", label: "label" }, 0.1, undefined],
  );
  assert.equal(configText(readConfig(file("elsewhere/train_config.json", text))), text);
});
