// The flags that are made from the options' declarations: each is there, and gives the value that its text says.

import assert from "node:assert/strict";
import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import type { TrainConfig } from "../../mod.ts";
import { allConfigFlags, givenConfig } from "../../src/cli/config_flags.ts";
import { everyOption, samples } from "../support/sample_config.ts";

function parsed(...args: readonly string[]): TrainConfig {
  const command: CommandUnknownOpts = new Command("train").exitOverride().configureOutput({ outputError: () => {} });
  for (const flag of allConfigFlags()) command.addOption(flag);
  return givenConfig(command.parse(args, { from: "user" }));
}

Deno.test("every option has its flags, and the flags give its value and nothing else", () => {
  for (const [name, [flags, value]] of Object.entries(samples)) {
    assert.deepEqual(parsed(...flags), { [name]: value }, name);
  }
  assert.deepEqual(parsed(...Object.values(samples).flatMap(([flags]) => flags)), everyOption);
  assert.deepEqual(parsed(), {});
});

Deno.test("a column by itself leaves the others open; numbers, sizes and weights are read as people write them", () => {
  assert.deepEqual(parsed("--label", "stars"), { columns: { label: "stars" } });
  assert.deepEqual(parsed("--k", "all", "--class-weights", "balanced", "--memory-budget", "4096"), {
    ...{ k: "all", classWeights: "balanced", memoryBudget: 4096 },
  });
  assert.deepEqual(parsed("--class-weights", "a=b=2, c = .5"), { classWeights: { "a=b": 2, c: 0.5 } });
  assert.deepEqual(parsed("--learning-rate", "1e-5", "--epochs", "1e1"), { learningRate: 1e-5, epochs: 10 });
});

Deno.test("a value that cannot be is refused with what it has to be", () => {
  const refused: readonly (readonly [flag: string, value: string, message: RegExp])[] = [
    ["--epochs", "0", /'--epochs <count>' argument '0' is invalid\. It has to be a whole number of at least 1\.$/],
    ["--epochs", "0x10", /It has to be a whole number of at least 1\.$/],
    ["--epochs", "", /It has to be a whole number of at least 1\.$/],
    ["--learning-rate", "1e999", /It has to be a number above 0\.$/],
    ["--betas", "0.9", /It has to be two numbers, each of at least 0 and below 1\.$/],
    ["--betas", "0.9,x", /It has to be two numbers/],
    ["--class-weights", "spam", /It has to be balanced, or a number above 0 for each label, such as spam=2,ham=1\.$/],
    ["--class-weights", "spam=", /It has to be balanced, or/],
    ["--lora-targets", "query,,value", /It has to be a list of names, separated by commas\.$/],
    ["--device", "cuda:01", /It has to be cpu, cuda or cuda:N\.$/],
    ["--train", " ", /It has to be the name of a file\.$/],
    ["--schedule", "steps", /Allowed choices are linear, cosine, constant\.$/],
  ];
  for (const [flag, value, message] of refused) {
    assert.throws(() => parsed(flag, value), { code: "commander.invalidArgument", message }, `${flag} ${value}`);
  }
});
