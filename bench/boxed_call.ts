// Microseconds of one small operator called from Deno, side by side with the same loop in Python.

import { parseArgs } from "node:util";
import { initialize, noGrad, ops, scope, type Tensor, tensorFrom, threads } from "../mod.ts";
import { markdownTable } from "./markdown.ts";
import { packageVersions, runScript } from "./python.ts";
import { type BoxedCallResult, describeOrigin, median, writeResult } from "./results.ts";

// About as many as one layer's scope holds.
const callsPerScope = 20;

type Microseconds = Readonly<Record<string, number>>;

function operators(): Readonly<Record<string, () => Tensor>> {
  const [row, bias] = [tensorFrom([1, 1, 1, 1]), tensorFrom([0, 0, 0, 0])];
  const rows = tensorFrom(new Float32Array(8).fill(1), { shape: [2, 4] });
  const square = tensorFrom([1, 1, 1, 1], { shape: [2, 2] });
  return {
    add: () => ops.add(row, row),
    layer_norm: () => ops.layerNorm(rows, [4], row, bias, 1e-5),
    matmul: () => ops.matmul(square, square),
  };
}

function microseconds(call: () => Tensor, calls: number): number {
  const started = performance.now();
  for (let done = 0; done < calls; done += callsPerScope) {
    scope(() => {
      for (let index = 0; index < callsPerScope; index++) call();
    });
  }
  return (performance.now() - started) * 1000 / calls;
}

function measureDeno(calls: number): Microseconds {
  return noGrad(() =>
    scope(() =>
      Object.fromEntries(
        Object.entries(operators()).map(([name, call]) => {
          microseconds(call, calls);
          return [name, microseconds(call, calls)];
        }),
      )
    )
  );
}

/** Measures in rounds, Deno and Python in turn, so that a slower spell of the machine hits both. */
export async function measure(rounds: number, calls: number, python: string | undefined): Promise<BoxedCallResult> {
  await initialize();
  threads(1);
  const [ofDeno, ofPython]: [Microseconds[], Microseconds[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    ofDeno.push(measureDeno(calls));
    if (python !== undefined) {
      ofPython.push(await runScript(python, "boxed_call.py", ["--calls", `${calls}`, "--repeats", "1"]));
    }
  }
  const middle = (times: readonly Microseconds[], name: string): number =>
    Number(median(times.map((time) => time[name] ?? NaN)).toFixed(3));
  return {
    ...await describeOrigin(python === undefined ? {} : await packageVersions(python, ["torch"])),
    rounds,
    operators: Object.keys(ofDeno[0] ?? {}).map((operator) => ({
      operator,
      deno: middle(ofDeno, operator),
      python: python === undefined ? null : middle(ofPython, operator),
    })),
  };
}

/** The result as a Markdown table. */
export function boxedCallTable({ operators }: BoxedCallResult): string {
  return markdownTable(
    ["operator", "Deno, µs", "Python, µs", "Deno relative to Python"],
    operators.map(({ operator, deno, python }) => [
      `\`${operator}\``,
      deno.toFixed(2),
      python?.toFixed(2) ?? "",
      python === null ? "" : (deno / python).toFixed(2),
    ]),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      python: { type: "string" },
      rounds: { type: "string", default: "7" },
      calls: { type: "string", default: "100000" },
      json: { type: "string" },
    },
  });
  const result = await measure(Number(values.rounds), Number(values.calls), values.python);
  console.log(boxedCallTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
