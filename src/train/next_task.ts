// Lets the event loop run: signals, timers and what a program does beside training.

/** Resolves after everything that waits has had its turn. */
export function nextTask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
