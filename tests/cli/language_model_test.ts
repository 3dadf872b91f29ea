// A language model from the command line: trained on texts alone, evaluated, and asked of texts.

import assert from "node:assert/strict";
import { join } from "node:path";
import { temporaryFolder } from "../native/fakes.ts";
import { fail, succeed } from "./run_cli.ts";
import { reviews, writeTinyModel } from "./tiny_model.ts";

const more = ["--batch-size", "8", "--learning-rate", "1e-2", "--threads", "1", "--quiet"];

function prepared(): Disposable & { readonly at: (name: string) => string } {
  const temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"), "small_opt");
  Deno.writeTextFileSync(at("texts.csv"), ["text", ...reviews(48).map(({ text }) => text)].join("\n"));
  return { at, [Symbol.dispose]: () => temporary[Symbol.dispose]() };
}

for (const method of ["selective", "selective+lora"]) {
  Deno.test(`${method}: train on texts, then eval and predict say how well it predicts them`, async () => {
    using place = prepared();
    const { at } = place;
    const files = [
      "--model",
      at("model"),
      "--train",
      at("texts.csv"),
      "--dev",
      at("texts.csv"),
      "--output-dir",
      at("out"),
    ];
    const flags = ["--task", "language-model", "--method", method, "--k", "3", "--epochs", "12"];
    const printed = await succeed(["train", ...files, ...flags, ...more]);
    assert.match(printed, /^dev loss +\d+\.\d{4}\ndev perplexity +\d+\.\d{4}\ndev accuracy +0\.\d{4}\nsteps +72\n/);

    const { options, target, result } = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
    assert.deepEqual([options.task, options.pooling, options.k, target], ["language-model", "each", 3, "nextToken"]);
    const { architectures, id2label } = JSON.parse(Deno.readTextFileSync(at("out/config.json")));
    assert.deepEqual([architectures, id2label], [["OPTForCausalLM"], undefined]);

    const evaluation = ["eval", "--model", at("out"), "--data", at("texts.csv"), "--json", "--threads", "1", "--quiet"];
    const { examples, ...metrics } = JSON.parse(await succeed(evaluation));
    assert.deepEqual([examples, metrics], [48, result.dev]);

    const texts = ["the film was good", "good was film the the"];
    const lines = (await succeed(["predict", "--model", at("out"), "--json", ...texts])).trim().split("\n");
    const [usual, odd] = lines.map((line) => JSON.parse(line));
    assert.deepEqual([usual.tokens, odd.tokens], [5, 6]);
    assert.deepEqual([usual.perplexity, odd.perplexity], [Math.exp(usual.loss), Math.exp(odd.loss)]);
    assert.ok(usual.perplexity < odd.perplexity / 2, lines.join());
    assert.equal(
      await succeed(["predict", "--model", at("out")], { stdin: texts.join("\n") }),
      [usual, odd].map(({ perplexity }, index) => `perplexity ${perplexity.toFixed(2)}  ${texts[index]}\n`).join(""),
    );
  });
}

Deno.test("what a language model cannot learn from is refused in one line", async () => {
  using place = prepared();
  const { at } = place;
  Deno.writeTextFileSync(at("short.tsv"), "text\tmore\ngood film\tx\n\tx\n");
  // A tokenizer without special tokens: an empty text has none.
  const tokenizer = JSON.parse(Deno.readTextFileSync(at("model/tokenizer.json")));
  Deno.writeTextFileSync(at("model/tokenizer.json"), JSON.stringify({ ...tokenizer, post_processor: null }));
  const train = (file: string, ...others: string[]): string[] => [
    ...["train", "--task", "language-model", "--model", at("model"), "--train", at(file), "--output-dir", at("out")],
    ...["--threads", "1", "--quiet", ...others],
  ];
  await fail(train("short.tsv"), 1, /short\.tsv, line 3: the text has no token: a language model needs two or more/);
  await fail(train("short.tsv", "--text-pair", "more"), 2, /reads single texts, but a second one is given: "more"/);
  await fail(train("short.tsv", "--pooling", "last"), 2, /the pooling is last, but a language model's head reads each/);
  writeTinyModel(at("bert"));
  const bert = ["--model", at("bert"), "--train", at("texts.csv"), "--output-dir", at("out")];
  await fail(["train", "--task", "language-model", ...bert], 2, /bert does not predict the next token/);

  await succeed(train("texts.csv", "--max-steps", "1"));
  const predict = ["predict", "--model", at("out")];
  await fail([...predict, "film"], 1, /the text "film" has 1 token: a language model needs two or more/);
  await fail([...predict, "--text-pair", "film", "good film"], 2, /reads single texts/);
});
