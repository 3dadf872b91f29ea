// What Fewtune means to reach at 32 sequences of 128 tokens with k = 16, and how far it is.

import { type ContestantName, titleOf } from "./contestants.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import type { StepResult } from "./results.ts";

interface Target {
  readonly activationMebibytes: number;
  readonly peakMebibytes: number;
  readonly relativeTime: number;
}

const targets: readonly (readonly [name: ContestantName, target: Target])[] = [
  ["store", { activationMebibytes: 450, peakMebibytes: 1800, relativeTime: 0.40 }],
  ["recompute", { activationMebibytes: 130, peakMebibytes: 1640, relativeTime: 0.45 }],
  ["in_backward", { activationMebibytes: 130, peakMebibytes: 1420, relativeTime: 0.45 }],
  ["lora", { activationMebibytes: 130, peakMebibytes: 620, relativeTime: 0.42 }],
  ["recompute_bf16", { activationMebibytes: 70, peakMebibytes: 1560, relativeTime: 0.18 }],
  ["lora_bf16", { activationMebibytes: 70, peakMebibytes: 560, relativeTime: 0.17 }],
];

/** Measured and target side by side, as a Markdown table. */
export function targetTable({ contestants, reference }: StepResult): string {
  const rows = targets.flatMap(([name, { activationMebibytes, peakMebibytes, relativeTime }]) => {
    const measured = contestants.find((each) => each.name === name);
    return measured === undefined ? [] : [[
      titleOf(name),
      mebibytes(measured.activationBytes),
      `${activationMebibytes}`,
      mebibytes(measured.peakBytes),
      peakMebibytes.toLocaleString("en-US"),
      measured.relativeTime.toFixed(2),
      relativeTime.toFixed(2),
    ]];
  });
  return markdownTable(
    ["", "Activations, MiB", "target", "Peak, MiB", "target", `Time to ${titleOf(reference)}`, "target"],
    rows,
  );
}
