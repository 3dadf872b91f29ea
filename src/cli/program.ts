// The program `fewtune`: its commands, and how it runs and ends.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import type { Runtime } from "../native/diagnose.ts";
import { initialize, openCudaHalf } from "../native/load.ts";
import { cudaDeviceCount, threads } from "../torch/device.ts";
import { version } from "../version.ts";
import { completionCommand } from "./completion.ts";
import { demoCommand } from "./demo.ts";
import { doctorCommand } from "./doctor.ts";
import { evalCommand } from "./eval.ts";
import { exportCommand } from "./export.ts";
import { report } from "./exit_codes.ts";
import { completeHelp } from "./help.ts";
import { explained } from "./mistakes.ts";
import { methodsCommand } from "./methods.ts";
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
  const program = makeProgram();
  const typed = withHelpFirst(program, args);
  for (const command of [program, ...program.commands]) {
    command.on("option:verbose", () => isVerbose = true);
    command.exitOverride((error) => {
      throw explained(error, command, typed);
    });
  }
  try {
    await program.parseAsync(typed, { from: "user" });
    return Deno.exitCode;
  } catch (error) {
    return report(error, isVerbose);
  }
}

/** The program with all of its commands. */
export function makeProgram(): CommandUnknownOpts {
  const program: CommandUnknownOpts = new Command("fewtune")
    .description("Fine-tunes transformers in little memory.")
    .version(version);
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
    methodsCommand(),
    reportCommand(),
    pullCommand(),
    pushCommand(),
    completionCommand(() => program),
  ];
  for (const command of commands) program.addCommand(command);
  for (const command of [program, ...commands]) command.option("--verbose", "when it fails, show where");
  completeHelp(program);
  return program;
}

// `fewtune train help` is `fewtune help train`; and help on a command that there is not is a misspelt command.
function withHelpFirst(program: CommandUnknownOpts, args: readonly string[]): readonly string[] {
  const isCommand = (name: string | undefined): boolean => program.commands.some((each) => each.name() === name);
  const [first, second] = args;
  if (args.length !== 2) return args;
  if (second === "help" && isCommand(first)) return ["help", first ?? ""];
  return first === "help" && second !== "help" && !isCommand(second) ? [second ?? ""] : args;
}

async function loadRuntime(): Promise<Runtime> {
  await initialize();
  const cudaError = openCudaHalf();
  return { threads: threads(), cudaDeviceCount: cudaDeviceCount(), cudaError };
}
