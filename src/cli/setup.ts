// `fewtune setup`: finds or installs LibTorch, and builds the shim.

import { Command, type CommandUnknownOpts, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { prepareNative } from "../native/prepare.ts";
import { showSetupProgress } from "./setup_progress.ts";

/** The command `setup`. It throws SetupError when something is missing that it cannot install. */
export function setupCommand(): CommandUnknownOpts {
  return new Command("setup")
    .description("find or install LibTorch, and build the shim")
    .addOption(
      new Option("--variant <variant>", "the LibTorch to install: for the CPU alone, or with CUDA")
        .choices(["auto", "cpu", "cuda"] as const)
        .default("auto" as const),
    )
    .action(async ({ variant }) => {
      using progress = showSetupProgress();
      const { libtorch, shim } = await prepareNative({ install: true, variant, onProgress: progress.onProgress });
      console.log(`LibTorch ${libtorch.version}  ${libtorch.root} (from ${libtorch.source})`);
      console.log(`shim             ${shim}`);
    });
}
