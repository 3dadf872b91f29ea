// Ctrl-C: the first one asks for an orderly end, the second one ends at once.

import { FewtuneError } from "../errors.ts";

const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal stopped the work; what there is was dealt with. */
export class InterruptedError extends FewtuneError {
  override readonly name: string = "InterruptedError";

  constructor(message: string, readonly exitCode: number) {
    super(message);
  }
}

/** Listens to SIGINT and SIGTERM until it is disposed. */
export interface Interrupts extends Disposable {
  /** Aborted by the first of them, with an {@linkcode InterruptedError}. */
  readonly signal: AbortSignal;
  /** What the process has to exit with: 0 as long as none came. */
  readonly exitCode: number;
}

/** Starts to listen; `onFirst` is called when the first signal comes. */
export function listenToInterrupts(onFirst: () => void): Interrupts {
  const controller = new AbortController();
  let exitCode = 0;
  const listeners = Object.entries(exitCodes).map(([name, code]) => {
    const listener = (): void => {
      if (exitCode !== 0) Deno.exit(code);
      exitCode = code;
      onFirst();
      controller.abort(new InterruptedError("interrupted", code));
    };
    return [name as Deno.Signal, listener] as const;
  });
  for (const [name, listener] of listeners) Deno.addSignalListener(name, listener);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: () => listeners.forEach(([name, listener]) => Deno.removeSignalListener(name, listener)),
  };
}
