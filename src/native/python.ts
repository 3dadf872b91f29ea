// The Pythons on the PATH: their versions, whether they have pip, and where their PyTorch is.

import { runIfPresent } from "./command.ts";

/** A Python that could be started. */
export interface Python {
  /** The name under which it is on the PATH. */
  readonly command: string;
  /** For example `3.11.7`. */
  readonly version: string;
  /** The version of its pip, or `null` without one. */
  readonly pip: string | null;
  /** The folder of its package `torch`, or `null` without one. */
  readonly torch: string | null;
}

// It finds torch without importing it, and passes over a folder that only happens to be called torch.
const question = `
import importlib.metadata, importlib.util, json, sys
sys.path = [entry for entry in sys.path if entry]
spec = importlib.util.find_spec("torch")
torch = spec.submodule_search_locations[0] if spec and spec.origin else None
try: pip = importlib.metadata.version("pip")
except importlib.metadata.PackageNotFoundError: pip = None
print(json.dumps({"version": sys.version.split()[0], "pip": pip, "torch": torch}))
`;

/**
 * `python3` and then `python`, as far as they are on the PATH and start.
 *
 * Needs `--allow-run=python3,python`, `--allow-read` and `--allow-env=PATH`.
 */
export async function findPythons(): Promise<Python[]> {
  const found = await Promise.all(["python3", "python"].map(describe));
  return found.filter((python) => python !== null);
}

async function describe(command: string): Promise<Python | null> {
  const answer = await runIfPresent(command, ["-c", question], { timeout: 30 });
  const line = answer?.code === 0 ? answer.lines.at(-1) : undefined;
  if (line === undefined) return null;
  try {
    return { command, ...JSON.parse(line) as Omit<Python, "command"> };
  } catch {
    return null;
  }
}
