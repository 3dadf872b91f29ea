// What Fewtune saves, transformers and PEFT load with the same logits and labels; what they save loads here.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type Classifier,
  Generator,
  initialize,
  loadClassifier,
  loadPredictor,
  type MethodOptions,
  noGrad,
  ops,
  type Pooling,
  predictLogits,
  randomClassifier,
  saveAdapter,
  saveClassifier,
  type Sequence,
  type Target,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { wordPiece } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython } from "../support/python.ts";
import { randomSequences, vocabSize } from "../support/random_bert.ts";

const target: Target = { labels: ["ham", "spam", "other"] };
const texts = ["the film was very good", "bad film", "it was not awful"];
const sequences: Sequence[] = randomSequences([5, 11, 3, 8]).map(({ inputIds, ...rest }) => ({
  ...rest,
  inputIds: Array.from(inputIds, (id) => Math.max(id, 4)),
}));

const size = { vocab_size: vocabSize, hidden_size: 32, num_hidden_layers: 3, num_attention_heads: 4 };
const configs: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  bert: {
    ...size,
    model_type: "bert",
    intermediate_size: 64,
    max_position_embeddings: 64,
    type_vocab_size: 2,
    initializer_range: 0.2,
  },
  roberta: {
    ...size,
    model_type: "roberta",
    intermediate_size: 64,
    max_position_embeddings: 66,
    type_vocab_size: 1,
    pad_token_id: 0,
    initializer_range: 0.2,
  },
  distilbert: {
    ...{ model_type: "distilbert", vocab_size: vocabSize, dim: 32, n_layers: 3, n_heads: 4, hidden_dim: 64 },
    max_position_embeddings: 64,
    initializer_range: 0.2,
  },
  opt: {
    ...size,
    model_type: "opt",
    ffn_dim: 64,
    max_position_embeddings: 64,
    pad_token_id: 1,
    init_std: 0.2,
  },
};
const standardPooling: Readonly<Record<string, Pooling>> = { opt: "last" };

interface Found {
  readonly logits: readonly (readonly number[])[];
  readonly labels: readonly string[];
  readonly keys?: readonly string[];
  readonly texts?: readonly { readonly label: string; readonly score: number }[];
}

type Results = Readonly<Record<string, Found>>;

/** What the script prints of an architecture. */
interface Answer {
  readonly ours: Results & {
    readonly untrusted: readonly string[];
    readonly bare: string;
    readonly alone: Found["logits"];
    readonly ids: readonly (readonly number[])[];
  };
  readonly theirs: Results;
}

/** The trained parameters get values of their own. */
function shake(classifier: Classifier): void {
  using random = new Generator(4);
  for (const [index, tensor] of [...classifier.trained.values()].entries()) {
    noGrad(() => ops.normal_(tensor, 0, index % 2 === 0 ? 0.2 : 0.3, { generator: random }).dispose());
  }
}

async function saveOurs(place: string, name: string, config: Readonly<Record<string, unknown>>): Promise<void> {
  const at = (part: string): string => join(place, name, part);
  const standard = standardPooling[name] ?? "cls";
  Deno.mkdirSync(at("preceding"), { recursive: true });
  const tokenizer = { "tokenizer.json": JSON.stringify(wordPiece(vocabSize)) };
  using base = randomClassifier(config, { target, pooling: standard, seed: 3 });
  saveClassifier(base, at("base"), tokenizer);
  for (const [part, pooling] of [["standard", standard], ["mean", "mean"]] as const) {
    using whole = await loadClassifier(at("base"), { target, pooling });
    shakeHead(whole);
    saveClassifier(whole, at(part));
  }
  for (const [part, method, options] of adapters) {
    using adapted = await loadClassifier(at("base"), { target, pooling: part === "adapter_mean" ? "mean" : standard });
    applyMethod(adapted, method, options);
    shake(adapted);
    saveAdapter(adapted, at(part));
  }
  for (const [part, pooling] of [["standard", standard], ["mean", "mean"]] as const) {
    for (const [kind, [method, options]] of Object.entries(precedingOf(name))) {
      using preceded = await loadClassifier(at("base"), { target, pooling });
      applyMethod(preceded, method, options);
      shake(preceded);
      saveAdapter(preceded, at(`preceding/${kind}_${part}`));
    }
  }
}

const adapters: readonly (readonly [string, string, MethodOptions])[] = [
  ["adapter_standard", "lora", { loraR: 4, loraAlpha: 12 }],
  ["adapter_mean", "lora", { loraR: 4, loraAlpha: 12 }],
  ["adapter_dora", "lora", {
    loraR: 4,
    useDora: true,
    useRslora: true,
    loraTargets: ["query", "intermediate", "output"],
  }],
  ["adapter_ia3", "ia3", {}],
];

/** What stands before texts. Transformers' DistilBERT takes no keys of others. */
function precedingOf(name: string): Readonly<Record<string, readonly [method: string, options: MethodOptions]>> {
  const prompt = ["prompt", { promptLength: 6 }] as const;
  if (name === "distilbert") return { prompt };
  const projected = { prefixLength: 5, prefixProjection: true, prefixHiddenSize: 7 };
  return { prompt, prefix: ["prefix", { prefixLength: 4 }], projected: ["prefix", projected] };
}

function shakeHead(classifier: Classifier): void {
  applyMethod(classifier, "freeze", { freezeLayers: 3 });
  shake(classifier);
}

const place = temporaryFolder();
let answers: Readonly<Record<string, Answer>> = {};

Deno.test.beforeAll(async () => {
  await initialize();
  for (const [name, config] of Object.entries(configs)) await saveOurs(place.path, name, config);
  answers = JSON.parse(await runPython("interchange.py", [place.path], JSON.stringify({ sequences, texts })));
});

Deno.test.afterAll(() => place[Symbol.dispose]());

function assertClose(actual: Found["logits"], expected: Found["logits"], what: string): void {
  assert.deepEqual(actual.map(({ length }) => length), expected.map(({ length }) => length), what);
  for (const [row, logits] of actual.entries()) {
    for (const [column, logit] of logits.entries()) {
      const difference = Math.abs(logit - (expected[row]?.[column] ?? NaN));
      assert.ok(difference <= 1e-5, `${what} ${row} ${column}: ${difference}`);
    }
  }
}

async function assertSame(folder: string, found: Found | undefined): Promise<void> {
  assert.ok(found, folder);
  using classifier = await loadClassifier(folder);
  assertClose(found.logits, await predictLogits(classifier, sequences), folder);
  assert.deepEqual(found.labels, classifier.target === "regression" ? ["LABEL_0"] : classifier.labels, folder);
}

function contents(folder: string): Map<string, Uint8Array> {
  using file = openSafetensors(`${folder}/adapter_model.safetensors`);
  return new Map(
    [...file.tensors].toSorted().map(([name, { byteLength }]) => {
      const bytes = new Uint8Array(byteLength);
      file.readInto(name, bytes);
      return [name, bytes];
    }),
  );
}

for (const name of Object.keys(configs)) {
  const at = (...parts: string[]): string => join(place.path, name, ...parts);
  const answer = (): Answer => {
    const found = answers[name];
    assert.ok(found);
    return found;
  };

  for (const part of ["standard", "mean", ...adapters.map(([part]) => part)]) {
    Deno.test(`${name}: what is saved loads there, all of it, with the same logits and labels: ${part}`, async () => {
      const found = answer().ours[part];
      assert.deepEqual(found?.keys ?? [], []);
      await assertSame(at(part), found);
    });
  }

  for (const kind of Object.keys(precedingOf(name))) {
    for (const part of ["standard", "mean"]) {
      Deno.test(`${name}: what stands before texts stands there before them too: ${kind}, ${part}`, async () => {
        using classifier = await loadClassifier(at("preceding", `${kind}_${part}`));
        const found = answer().ours[`${kind}_${part}`]?.logits ?? [];
        assertClose(found, await predictLogits(classifier, sequences), kind);
      });
    }
  }

  Deno.test(`${name}: PEFT finds base and head of an adapter with the standard head by itself`, async () => {
    await assertSame(at("adapter_standard"), answer().ours["auto_adapter"]);
  });

  Deno.test(`${name}: the head on the mean reads no padding, and needs no mask where there is none`, () => {
    const { ours } = answer();
    assertClose(ours.alone, ours["mean"]?.logits ?? [], "alone");
  });

  Deno.test(`${name}: without trust in its model file, transformers refuses a model with the head on the mean`, () => {
    for (const refusal of answer().ours.untrusted) {
      assert.match(refusal, /^ValueError: .*contains custom code.*trust_remote_code=True/s);
    }
  });

  Deno.test(`${name}: on its bare base, PEFT refuses an adapter with the head on the mean, which has no standard head`, () => {
    assert.match(answer().ours.bare, name === "opt" ? /KeyError: .*score\./ : /KeyError: .*classifier\./);
  });

  Deno.test(`${name}: tokenizer and pipeline of a model with the head on the mean say what Fewtune's predictor says`, async () => {
    const { ours } = answer();
    using predictor = await loadPredictor(at("mean"));
    const ids = texts.map((text) => [...predictor.tokenizer.encode(text, undefined, 64).inputIds]);
    const pad = predictor.classifier.config.fields["pad_token_id"] ?? 0;
    const longest = Math.max(...ids.map(({ length }) => length));
    assert.deepEqual(ours.ids, ids.map((each) => [...each, ...new Array(longest - each.length).fill(pad)]));
    const predictions = await predictor.predict(texts);
    for (const [index, prediction] of predictions.entries()) {
      assert.ok("label" in prediction);
      const there = ours["mean"]?.texts?.[index];
      assert.equal(there?.label, prediction.label);
      assert.ok(Math.abs((there?.score ?? NaN) - prediction.score) < 1e-5);
    }
  });

  for (const part of ["standard", "mean", "more_labels"]) {
    Deno.test(`${name}: a model that transformers saved loads here: ${part}`, async () => {
      await assertSame(at("theirs", part), answer().theirs[part]);
    });
  }

  for (const part of ["list", "regex", "all_linear", "rank_stabilised", "dropout", "one_label", "use_dora", "ia3"]) {
    Deno.test(`${name}: an adapter that PEFT saved loads here: ${part}`, async () => {
      await assertSame(at("theirs", part), answer().theirs[part]);
    });
  }

  for (const part of ["all_linear", "ia3"]) {
    Deno.test(`${name}: PEFT's adapter, loaded and saved, has the same tensors to the bit: ${part}`, async () => {
      using classifier = await loadClassifier(at("theirs", part));
      saveAdapter(classifier, at(`${part}_again`));
      assert.deepEqual(contents(at(`${part}_again`)), contents(at("theirs", part)));
    });
  }

  for (const part of ["bias", "rank_pattern", "alpha_pattern", "lora_bias"]) {
    Deno.test(`${name}: an adapter that is computed in another way is refused by what makes it so: ${part}`, async () => {
      const message = new RegExp(`${part} is .*, it has to be`);
      await assert.rejects(loadClassifier(at("theirs", part)), { name: "CheckpointError", message });
    });
  }

  Deno.test(`${name}: the base of an adapter may be named from the adapter's folder`, async () => {
    const path = at("theirs", "list", "adapter_config.json");
    const fields = JSON.parse(Deno.readTextFileSync(path));
    Deno.writeTextFileSync(path, JSON.stringify({ ...fields, base_model_name_or_path: "../../base" }));
    await assertSame(at("theirs", "list"), answer().theirs["list"]);
  });
}
