// `fewtune doctor`: what is there, what is missing, and what to do about it.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { diagnose, type DiagnoseOptions, type Diagnosis } from "../native/diagnose.ts";
import { multipliesBfloat16 } from "../native/machine.ts";

/**
 * The command `doctor`. It ends with exit code 1 when something is missing that Fewtune needs.
 *
 * @param load loads the shim and asks it what only it knows; without it, that is left out.
 */
export function doctorCommand(load?: DiagnoseOptions["load"]): CommandUnknownOpts {
  return new Command("doctor")
    .description("show what Fewtune found on this machine, and what is missing")
    .option("--json", "print it as JSON", false)
    .action(async ({ json }) => {
      const diagnosis = await diagnose(load ? { load } : {});
      console.log(json ? JSON.stringify(diagnosis, null, 2) : describe(diagnosis));
      if (diagnosis.problems.some(({ fatal }) => fatal)) Deno.exitCode = 1;
    });
}

function describe(diagnosis: Diagnosis): string {
  const shown = facts(diagnosis).filter(([, value]) => value !== "");
  const rows = shown.map(([name, value]) => `${name.padEnd(12)}${value}`);
  const problems = diagnosis.problems.map(({ what, remedy, fatal }) => {
    return `${fatal ? "missing" : "note"}: ${what}${remedy ? `: ${remedy}` : ""}`;
  });
  return [...rows, "", ...(problems.length > 0 ? problems : ["all that Fewtune needs is there"])].join("\n");
}

type Fact = readonly [name: string, value: string];

function facts(diagnosis: Diagnosis): Fact[] {
  const { versions, machine, compiler, python, libtorch, shim, cuda, threads, cache, loadedLibraries } = diagnosis;
  const sizes = Object.entries(cache.bytes).map(([part, bytes]) => `${part} ${mebibytes(bytes)}`);
  const devices = cuda.works ? `works, ${cuda.devices} device(s)` : `does not work: ${cuda.reason}`;
  return [
    ["Fewtune", versions.fewtune],
    ["Deno", `${versions.deno} (V8 ${versions.v8}, TypeScript ${versions.typescript})`],
    ["platform", `${machine.os} ${machine.arch}`],
    [
      "processor",
      `${machine.cpu ?? "unknown"}, ${machine.cores} cores${
        (machine.instructionSets ?? []).map((set) => `, ${set}`).join("")
      }`,
    ],
    ["bfloat16", bfloat16Note(multipliesBfloat16(machine))],
    ["memory", mebibytes(machine.memoryBytes)],
    ["compiler", compiler ? `${compiler.command}: ${compiler.version}` : "none"],
    ["Python", python ? `${python.command} ${python.version}, ${python.pip ? `pip ${python.pip}` : "no pip"}` : "none"],
    ["LibTorch", libtorch ? `${libtorch.version} in ${libtorch.root} (from ${libtorch.source})` : "none"],
    ["", libtorch ? `C++11 ABI: ${yesNo(libtorch.cxx11Abi)}, CUDA half: ${yesNo(libtorch.hasCuda)}` : ""],
    ["shim", shim ? `${shim.path}${shim.built ? "" : " (not built)"}` : "none"],
    ["threads", threads?.toString() ?? "unknown until LibTorch is loaded"],
    ["CUDA", cuda.driver ? `driver ${cuda.driver}, ${devices}` : devices],
    ["cache", `${cache.folder}: ${sizes.join(", ")}`],
    ...loadedLibraries.map((path, index): Fact => [index === 0 ? "loaded" : "", path]),
  ];
}

function bfloat16Note(isMultiplied: boolean | null): string {
  if (isMultiplied === null) return "";
  return isMultiplied ? "multiplied by the processor itself" : "multiplied as float32: bf16 saves memory and no time";
}

function yesNo(value: boolean): string {
  return value ? "yes" : "no";
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
