// `fewtune report`: one page of HTML with the curves, results and settings of runs.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { OptionError } from "../errors.ts";
import { reportPage } from "../report/page.ts";
import { readRuns } from "../report/run.ts";
import { print } from "./output.ts";

/** The command `report`. */
export function reportCommand(): CommandUnknownOpts {
  return new Command("report")
    .description("show runs, done or still going on, in one page: their curves, results and different settings")
    .argument("<run...>", "folders that `fewtune train` writes to")
    .option("--output <file>", "the page, which needs no other file and no network", "report.html")
    .action(async (folders, { output }) => {
      const page = await reportPage(readRuns(folders));
      writePage(output, page);
      print(output);
    });
}

function writePage(path: string, page: string): void {
  try {
    Deno.writeTextFileSync(path, page);
  } catch (cause) {
    throw new OptionError(`the page cannot be written to ${path}: ${(cause as Error).message}`, { cause });
  }
}
