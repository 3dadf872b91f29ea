// Fine-tunes a BERT checkpoint on labelled sentences, tells how good it is, tries it, and saves it.
//
//   deno run --allow-ffi --allow-read --allow-write --allow-env --allow-run=g++,python3,python
//     examples/train.ts MODEL examples/reviews.tsv OUTPUT
//
// MODEL is a folder with config.json, model.safetensors and tokenizer.json; OUTPUT is a folder that does not exist yet.
import {
  discoverLabels,
  encodeExamples,
  evaluate,
  initialize,
  loadClassifier,
  loadTokenizer,
  predictLogits,
  probabilities,
  readExamples,
  readTable,
  saveClassifier,
  train,
} from "../mod.ts";

const [model = "model", file = "examples/reviews.tsv", output = "output"] = Deno.args;
await initialize({ install: true, onProgress: ({ step, status }) => console.error(`${step}: ${status}`) });

const table = await readTable(file);
const labels = discoverLabels(table, "label");
const tokenizer = await loadTokenizer(model);
const examples = encodeExamples(readExamples(table, { text: "text", label: "label", labels }), tokenizer, 128);
const heldOut = examples.splice(0, examples.length / 5);

using classifier = await loadClassifier(model, { target: { labels: labels.names }, pooling: "mean" });
await train(classifier, { train: examples }, {
  k: 8,
  batchSize: 8,
  epochs: 3,
  learningRate: 1e-4,
  onEvent: (event) => event.type === "step" && console.log(`step ${event.step}: loss ${event.loss.toFixed(3)}`),
});
console.log(await evaluate(classifier, heldOut));

const question = "It fell apart in my hands.";
const [logits = []] = await predictLogits(classifier, encodeExamples([{ text: question }], tokenizer, 128));
console.log(question, Object.fromEntries(probabilities(logits).map((value, id) => [labels.names[id], value])));

saveClassifier(classifier, output);
