// `fewtune completion`: a script with which a shell completes commands, flags and their values.

import { Argument, Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { bashCompletion } from "./completion_bash.ts";
import { fishCompletion } from "./completion_fish.ts";
import { completionTree, type Tree } from "./completion_tree.ts";
import { zshCompletion } from "./completion_zsh.ts";
import { print } from "./output.ts";

const scripts: Readonly<Record<"bash" | "zsh" | "fish", (tree: Tree) => string>> = {
  bash: bashCompletion,
  zsh: zshCompletion,
  fish: fishCompletion,
};
const shells = ["bash", "zsh", "fish"] as const;

/**
 * The command `completion`. The script holds all there is to know: completing starts no program.
 *
 * @param program gives the program that is completed
 */
export function completionCommand(program: () => CommandUnknownOpts): CommandUnknownOpts {
  return new Command("completion")
    .description("print a script with which a shell completes commands, flags and their values")
    .addArgument(new Argument("<shell>", "the shell").choices(shells))
    .action((shell) => print(scripts[shell](completionTree(program()))));
}
