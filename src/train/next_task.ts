// Lets the event loop run: signals, timers and what a program does beside training.

import { setImmediate } from "node:timers";

/** Resolves after everything that waits has had its turn: at once where nothing does, unlike a timer of 0 ms. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
