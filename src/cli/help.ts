// What help shows besides the flags: examples of each command, the exit codes; and how it looks.

import type { CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { exitCodes } from "./exit_codes.ts";
import { write } from "./output.ts";
import { bold, hasColors } from "./terminal.ts";

/** Examples of the commands, by their names; those of the program itself have the name `fewtune`. */
export const examples: Readonly<Record<string, readonly string[]>> = {
  fewtune: [
    "fewtune train --model minilm --train mails.csv --dev more.csv --output-dir out/mine",
    'fewtune predict --model out/mine "You have won a prize"',
    "fewtune help train",
  ],
  setup: ["fewtune setup", "fewtune setup --variant cuda"],
  doctor: ["fewtune doctor", "fewtune doctor --json"],
  demo: ["fewtune demo", "fewtune demo --output-dir out/spam --max-steps 20"],
  train: [
    "fewtune train --model minilm --train mails.csv --dev more.csv --output-dir out/mine",
    "fewtune train --model minilm --train mails.csv --method selective+lora --k 0.25 --output-dir out/adapter",
    "fewtune train --model minilm --train mails.csv --memory-budget 2GiB --print-config",
    "fewtune train --config mine.json --output-dir out/again",
    "fewtune train --resume out/mine",
  ],
  sweep: [
    "fewtune sweep --model minilm --train mails.csv --dev more.csv --grid seed=1,2,3 --output-dir out/sweep",
    "fewtune sweep --preset paper --glue MRPC --glue-dir data/glue --model minilm --output-dir out/mrpc --dry-run",
  ],
  eval: [
    "fewtune eval --model out/mine --data more.csv",
    "fewtune eval --model out/mine --data more.csv --json --quiet",
  ],
  predict: [
    'fewtune predict --model out/mine "You have won a prize" "See you at noon"',
    "fewtune predict --model out/mine --json < mails.txt",
  ],
  export: ["fewtune export --onnx --model out/mine --output-dir out/onnx"],
  profile: [
    "fewtune profile --config bert-base --k 16 --svg profile.svg",
    "fewtune profile --model minilm --activations recompute --batch-size 8 --json",
  ],
  methods: ["fewtune methods", "fewtune methods --config minilm --lora-r 32 --json"],
  report: ["fewtune report out/mine out/again", "fewtune report out/mine --output mine.html"],
  pull: ["fewtune pull glue", "fewtune pull glue --tasks mrpc,stsb --output-dir data/glue"],
  push: ["fewtune push --model out/mine --repo my-name/spam-filter --private"],
  completion: [
    "fewtune completion bash > ~/.local/share/bash-completion/completions/fewtune",
    "fewtune completion zsh > ~/.zfunc/_fewtune",
    "fewtune completion fish > ~/.config/fish/completions/fewtune.fish",
  ],
};

/** Makes the help of a program and of its commands, which it has already, whole. */
export function completeHelp(program: CommandUnknownOpts): void {
  for (const command of [program, ...program.commands]) {
    command
      .configureHelp({ styleTitle: bold })
      .configureOutput({
        writeOut: write,
        outputError: () => {},
        getOutHasColors: () => hasColors(Deno.stdout),
        getErrHasColors: () => hasColors(Deno.stderr),
      })
      .addHelpText("after", list("Examples:", examples[command.name()] ?? []));
  }
  program.addHelpText("after", list("Exit codes:", exitCodes.map(([code, meaning]) => `${code}`.padEnd(5) + meaning)));
}

function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? "" : `\n${bold(title)}\n${lines.map((line) => `  ${line}`).join("\n")}`;
}
