// The program `fewtune`: its commands, and how it runs and ends.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import type { Runtime } from "../native/diagnose.ts";
import { initialize, openCudaHalf } from "../native/load.ts";
import { cudaDeviceCount, threads } from "../torch/device.ts";
import { version } from "../version.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { evalCommand } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { report } from "./exit_codes.ts";
import { write } from "./output.ts";
import { predictCommand } from "./predict.ts";
import { profileCommand } from "./profile.ts";
import { pullCommand } from "./pull.ts";
import { pushCommand } from "./push.ts";
import { reportCommand } from "./report.ts";
import { setupCommand } from "./setup.ts";
import { sweepCommand } from "./sweep.ts";
import { trainCommand } from "./train.ts";

/** Runs the program and returns its exit code. Throws nothing: what goes wrong is one line on standard error. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let isVerbose = false;
  const program = makeProgram(() => isVerbose = true);
  try {
    await program.parseAsync(args, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    return report(error, isVerbose);
  }
}

function makeProgram(onVerbose: () => void): CommandUnknownOpts {
  const program = new Command("fewtune")
    .description("Fine-tunes transformers in little memory.")
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: write, outputError: () => {} })
    .addHelpText("after", examples);
  const commands = [
    setupCommand(),
    doctorCommand(loadRuntime),
    demoCommand(),
    trainCommand(),
    sweepCommand(),
    evalCommand(),
    predictCommand(),
    exportCommand(),
    profileCommand(),
    reportCommand(),
    pullCommand(),
    pushCommand(),
  ];
  for (const command of commands) {
    command.option("--verbose", "when it fails, show where").on("option:verbose", onVerbose);
    program.addCommand(command.copyInheritedSettings(program));
  }
  return program;
}

const examples = `
Examples:
  fewtune train --model minilm --train mails.csv --dev more.csv --output-dir out/mine
  fewtune predict --model out/mine "You have won a prize"
  fewtune profile --config bert-base --activations recompute
  fewtune train --help`;

async function loadRuntime(): Promise<Runtime> {
  await initialize();
  const cudaError = openCudaHalf();
  return { threads: threads(), cudaDeviceCount: cudaDeviceCount(), cudaError };
}
