// Where a model is on this machine: the folder that was named, or the one that the hub's model was fetched into.

import { dirname } from "node:path";
import { HubError } from "../errors.ts";
import { plainly } from "../files/shown.ts";
import { exists } from "../native/cache.ts";
import { fetchModel } from "./model_files.ts";
import { isRepositoryName } from "./names.ts";
import type { HubOptions } from "./options.ts";
import { openRepository } from "./repository.ts";

/**
 * The folder of a model. A folder that exists is itself; any other name is that of a model on the hub, whose
 * configuration, tokenizer and weights are fetched into the cache where they are not there yet.
 *
 * @throws {HubError} when there is neither such a folder nor such a model, or it cannot be fetched
 */
export async function modelFolder(nameOrFolder: string, options: HubOptions = {}): Promise<string> {
  if (await exists(nameOrFolder)) {
    if (options.revision === undefined) return nameOrFolder;
    throw new HubError(`${plainly(nameOrFolder)} is a folder, which has no revisions: leave ${options.revision} out`);
  }
  if (!isRepositoryName(nameOrFolder)) {
    throw new HubError(
      `there is no folder ${plainly(nameOrFolder)}, and it is no name of a model on the hub (org/name)`,
    );
  }
  try {
    const repository = await openRepository("model", nameOrFolder, options);
    await fetchModel(repository);
    return dirname(
      await repository.fetch(repository.paths.includes("config.json") ? "config.json" : "adapter_config.json"),
    );
  } catch (error) {
    throw withBothReadings(error, nameOrFolder);
  }
}

// Who mistyped a folder's name wants to hear of the folder.
function withBothReadings(error: unknown, name: string): unknown {
  if (!(error instanceof HubError) || ![null, 401, 404].includes(error.status)) return error;
  const { message, status } = error;
  return new HubError(`no folder ${name} is here, and as a model on the hub: ${message}`, status, { cause: error });
}
