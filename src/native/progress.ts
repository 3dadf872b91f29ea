// What long set-up steps tell their caller while they run.

/** One thing that happened in a set-up step. */
export interface SetupEvent {
  /** What is being done, for a person: `installing LibTorch 2.11.0`. */
  readonly step: string;
  /** A step is started once, may report any number of times, and is done once unless it throws. */
  readonly status: "started" | "running" | "done";
  /** The last line of the program that runs, or the part that was finished. */
  readonly detail?: string;
}

/** Receives the events of set-up steps; must not throw. */
export type OnProgress = (event: SetupEvent) => void;

/** Runs `work` as one step: `started` before it, `running` for each detail it reports, `done` when it returns. */
export async function asStep<T>(
  step: string,
  onProgress: OnProgress | undefined,
  work: (report: (detail: string) => void) => Promise<T>,
): Promise<T> {
  onProgress?.({ step, status: "started" });
  const result = await work((detail) => onProgress?.({ step, status: "running", detail }));
  onProgress?.({ step, status: "done" });
  return result;
}
