// Loads LibTorch for a command that computes.

import { initialize } from "../native/load.ts";
import { type Device, threads } from "../torch/mod.ts";
import { showSetupProgress } from "./setup_progress.ts";

/** Loads LibTorch, showing what has to be built first, and sets the number of threads when one is given. */
export async function startLibTorch(device: Device, threadCount: number | undefined): Promise<void> {
  using progress = showSetupProgress();
  await initialize({ device, onProgress: progress.onProgress });
  threads(threadCount);
}
