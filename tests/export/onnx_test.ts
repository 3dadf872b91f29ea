// Exported models: onnxruntime computes of them what transformers and Fewtune compute of the originals.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type Classifier,
  exportOnnx,
  Generator,
  loadClassifier,
  mergeAdapter,
  noGrad,
  ops,
  predictLogits,
  saveAdapter,
  saveClassifier,
  trainedParameters,
} from "../../mod.ts";
import { fail, succeed } from "../cli/run_cli.ts";
import { writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython, testPython } from "../support/python.ts";
import { randomLanguageModel } from "../support/random_language_model.ts";

const target = { labels: ["ham", "spam", "other"] };

// None has the size that was traced, and texts of a batch differ in length.
const batches = [[1], [9], [4, 30, 1], [2, 2, 2, 2, 2, 2, 2]].map((lengths, batch) =>
  lengths.map((length, row) => Array.from({ length }, (_, position) => 4 + (7 * position + 5 * row + batch) % 50))
);

interface Compared {
  readonly inputs: Readonly<Record<string, readonly unknown[]>>;
  readonly modelType: string;
  readonly labels: readonly string[];
  readonly ids: readonly number[];
  readonly batches: readonly Record<"exported" | "reference", readonly (readonly number[])[]>[];
}

async function assertLogits(classifier: Classifier, { batches: found }: Compared): Promise<void> {
  for (const [index, batch] of batches.entries()) {
    const own = await predictLogits(
      classifier,
      batch.map((inputIds) => ({ inputIds, tokenTypeIds: inputIds.map(() => 0) })),
    );
    const { exported = [], reference = [] } = found[index] ?? {};
    for (const [row, logits] of own.entries()) {
      for (const [column, logit] of logits.entries()) {
        const [there = NaN, original = NaN] = [exported[row]?.[column], reference[row]?.[column]];
        assert.ok(
          Math.abs(there - logit) <= 1e-5 && Math.abs(there - original) <= 1e-5,
          `${there} ${original} ${logit}`,
        );
      }
    }
  }
}

function shake(classifier: Classifier): void {
  using random = new Generator(5);
  for (const tensor of trainedParameters(classifier.model)) {
    noGrad(() => ops.normal_(tensor, 0, 0.3, { generator: random }).dispose());
  }
}

Deno.test("exported: an adapter with the head on the mean, BERT's standard head, and OPT's", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("bert"));
  writeTinyModel(at("opt"), "small_opt");
  using adapted = await loadClassifier(at("bert"), { target, pooling: "mean" });
  applyMethod(adapted, "lora");
  shake(adapted);
  saveAdapter(adapted, at("adapter"));
  mergeAdapter(adapted);
  saveClassifier(adapted, at("merged"));
  using bert = await loadClassifier(at("bert"));
  using opt = await loadClassifier(at("opt"));

  const python = testPython();
  const command = ["export", "--onnx", "--model", at("adapter"), "--output-dir", at("mean_onnx"), "--python", python];
  assert.match(await succeed(command), /^model\.onnx {2}1 MiB\nsaved to {4}\/.*mean_onnx\n$/);
  for (const name of ["bert", "opt"]) await exportOnnx({ model: at(name), outputDir: at(`${name}_onnx`), python });
  const files = [...Deno.readDirSync(at("mean_onnx"))].map(({ name }) => name).sort();
  assert.deepEqual(files, ["config.json", "onnx", "tokenizer.json", "tokenizer_config.json"]);
  assert.deepEqual([...Deno.readDirSync(at("mean_onnx/onnx"))].map(({ name }) => name), ["model.onnx"]);

  const models = [["mean_onnx", "merged"], ["bert_onnx", "bert"], ["opt_onnx", "opt"]].map(([to = "", from = ""]) => ({
    exported: at(to),
    original: at(from),
  }));
  const found: Compared[] = JSON.parse(await runPython("onnx_logits.py", [], JSON.stringify({ models, batches })));
  const free = ["batch_size", "sequence_length"];
  const types = found[0]?.inputs["token_type_ids"] && { token_type_ids: free };
  for (const [index, classifier] of [adapted, bert, opt].entries()) {
    const compared = found[index];
    assert.ok(compared);
    const isBert = classifier.architecture.modelType === "bert";
    assert.deepEqual(compared.inputs, { input_ids: free, attention_mask: free, ...(isBert && types) });
    assert.deepEqual([compared.modelType, compared.labels], [classifier.architecture.modelType, classifier.labels]);
    await assertLogits(classifier, compared);
  }
  assert.deepEqual(types, { token_type_ids: free });
});

Deno.test("a language model is refused", async () => {
  using temporary = temporaryFolder();
  const [model, outputDir] = [join(temporary.path, "model"), join(temporary.path, "out")];
  using classifier = randomLanguageModel();
  saveClassifier(classifier, model);
  await assert.rejects(exportOnnx({ model, outputDir }), { name: "OptionError", message: /only classifiers do/ });
});

Deno.test("an adapter that no weights can compute is refused, and nothing is left", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("bert"));
  using classifier = await loadClassifier(at("bert"), { target });
  applyMethod(classifier, "lora+prompt");
  saveAdapter(classifier, at("adapter"));
  const exported = exportOnnx({ model: at("adapter"), outputDir: at("out") });
  await assert.rejects(exported, {
    name: "OptionError",
    message: /lora\+prompt computes what no weights of the model do/,
  });
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name).sort(), ["adapter", "bert"]);
});

Deno.test("a Python that lacks packages, or is none, is one line that says what to do, and nothing is left", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  // -S leaves out all that is installed.
  Deno.writeTextFileSync(at("python"), `#!/bin/sh\nexec ${testPython()} -I -S "$@"\n`, { mode: 0o755 });
  const command = ["export", "--onnx", "--model", at("model"), "--output-dir", at("out"), "--python"];
  const pip = /lacks what the export needs: .*python -m pip install torch transformers onnx onnxscript, or name/;
  await fail([...command, at("python")], 1, pip);
  await fail([...command, at("none")], 1, /none cannot be started: name a Python by --python or FEWTUNE_PYTHON/);
  await fail(command.slice(0, -1), 1, /none cannot be started/, { env: { FEWTUNE_PYTHON: at("none") } });
  Deno.writeTextFileSync(at("python"), "#!/bin/sh\necho it cannot be\nexit 3\n");
  await fail([...command, at("python")], 1, /the export by .*python failed: it cannot be/);
  await fail(["export", "--model", at("model"), "--output-dir", at("out")], 2, /--onnx/);
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name).sort(), ["model", "python"]);
});
