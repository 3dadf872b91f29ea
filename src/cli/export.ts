// `fewtune export`: writes a fine-tuned model in a format for other programs.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { exportOnnx } from "../export/onnx.ts";
import { folderName } from "./option_values.ts";
import { mebibytes, printFacts } from "./output.ts";
import { startLibTorch } from "./start.ts";

/** The command `export`. */
export function exportCommand(): CommandUnknownOpts {
  return new Command("export")
    .description("write a fine-tuned model as ONNX, for transformers.js in a browser or in Deno")
    .requiredOption("--onnx", "the format: ONNX, the only one so far")
    .requiredOption("--model <dir>", "folder of a fine-tuned model or adapter")
    .requiredOption("--output-dir <dir>", "new folder for the exported model", folderName)
    .option(
      "--python <python>",
      "Python with torch, transformers, onnx and onnxscript (default: FEWTUNE_PYTHON, or python3)",
    )
    .action(async ({ model, outputDir, python }) => {
      await startLibTorch("cpu", undefined);
      const { bytes } = await exportOnnx({ model, outputDir, python });
      printFacts([["model.onnx", mebibytes(bytes)], ["saved to", outputDir]]);
    });
}
