// Uploads a saved model to the hub: a repository, made where there is none, and one commit.

import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { CheckpointError, HubError } from "../errors.ts";
import { type Asked, pageOf, unreachable } from "./failures.ts";
import { checkRepositoryName, checkRevision } from "./names.ts";
import type { HubOptions, UploadEvent } from "./options.ts";
import { failure, Passing, persistently } from "./requests.ts";
import { type HubSettings, hubSettings } from "./settings.ts";

/** How a model is uploaded. */
export interface PushOptions extends Pick<HubOptions, "endpoint" | "token" | "signal" | "patience"> {
  /** The branch to commit to, made where there is none. Default `main`. */
  readonly revision?: string | undefined;
  /** Whether a repository that is made is private. Default: what its owner has set. */
  readonly isPrivate?: boolean | undefined;
  /** The commit's message. */
  readonly message?: string | undefined;
  /** Told how far each file is; must not throw. */
  readonly onProgress?: ((event: UploadEvent) => void) | undefined;
}

/** What was uploaded. */
export interface Pushed {
  /** The address of the model's page. */
  readonly url: string;
  readonly commit: string;
}

/**
 * Uploads all files of a saved model's folder in one commit, but for those whose name begins with a dot, and for what a
 * training run leaves beside its result: checkpoints and logs. Files of the repository that the folder has not stay.
 *
 * Needs `--allow-net` of the endpoint and where it lets files be put, `--allow-env`, and `--allow-read` of the folder.
 *
 * @param name `org/name`
 * @throws {CheckpointError} when the folder holds no saved model, or a run that is not finished
 * @throws {HubError} without a token that may write, when a link leads out of the folder, or when the hub refuses
 */
export async function pushModel(folder: string, name: string, options: PushOptions = {}): Promise<Pushed> {
  checkRepositoryName(name);
  if (!name.includes("/")) {
    throw new HubError(`${name} says not whose it is: give a user or an organisation, org/${name}`);
  }
  const { endpoint: hub, token, revision: branch, signal, patience } = options;
  const settings = hubSettings({ endpoint: hub, token, revision: branch, signal, patience });
  checkRevision(settings.revision);
  const files = await filesOf(folder);
  requireModel(folder, files);
  const { revision, endpoint, token: accessToken, offline } = settings;
  if (offline) throw new HubError(`${name} is not pushed: HF_HUB_OFFLINE keeps it off the network`);
  if (accessToken === null) throw new HubError(`pushing to ${name} needs a token: set HF_TOKEN to one that may write`);
  const asked: Asked = { kind: "model", name, revision, endpoint, hasToken: true, writes: true };
  const to: Destination = {
    repo: { type: "model", name },
    hubUrl: endpoint,
    accessToken,
    fetch: persistentFetch(asked, settings),
  };
  try {
    return { url: pageOf(asked), commit: await commitFiles(to, folder, files, settings, options) };
  } catch (error) {
    settings.signal?.throwIfAborted();
    if (error instanceof HubError) throw error;
    throw new HubError(`${name} was not pushed: ${error instanceof Error ? error.message : error}`, null, {
      cause: error,
    });
  }
}

interface Destination {
  readonly repo: { readonly type: "model"; readonly name: string };
  readonly hubUrl: string;
  readonly accessToken: string;
  readonly fetch: typeof fetch;
}

// Hugging Face's own client does it: LFS, Xet and multipart uploads. It is loaded here alone, since it is large.
async function commitFiles(
  to: Destination,
  folder: string,
  files: ReadonlyMap<string, number>,
  { revision, signal }: HubSettings,
  { isPrivate, message = "Upload with Fewtune", onProgress }: PushOptions,
): Promise<string> {
  const { commitIter, createBranch, createRepo } = await import("npm:@huggingface/hub@2.17.5");
  await unlessThere(() => createRepo({ ...to, ...(isPrivate && { visibility: "private" }) }));
  if (revision !== "main") await unlessThere(() => createBranch({ ...to, branch: revision }));
  const steps = commitIter({
    ...to,
    title: message,
    branch: revision,
    operations: [...files.keys()].map((path) => ({
      operation: "addOrUpdate",
      path,
      content: pathToFileURL(join(folder, path)),
    })),
    ...(signal && { abortSignal: signal }),
  });
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value?.commit.oid ?? "";
    if (value.event !== "fileProgress" || value.state !== "uploading") continue;
    const { path, progress } = value;
    const total = files.get(path) ?? 0;
    onProgress?.({ type: "upload", repository: to.repo.name, path, done: Math.round(progress * total), total });
  }
}

async function unlessThere(make: () => Promise<unknown>): Promise<void> {
  try {
    await make();
  } catch (error) {
    if (!(error instanceof HubError && error.status === 409)) throw error;
  }
}

// What the client sends can be sent again: contents have their hash as a name, and a commit of the same changes nothing.
function persistentFetch(asked: Asked, settings: HubSettings): typeof fetch {
  return (input, init) =>
    persistently(settings, async () => {
      const url = new URL(input instanceof Request ? input.url : input);
      const signals = [init?.signal, settings.signal].filter((signal) => signal instanceof AbortSignal);
      const answer = await fetch(input, { ...init, signal: AbortSignal.any(signals) }).catch((error) => {
        throw error instanceof TypeError ? new Passing(unreachable(settings.endpoint, error)) : error;
      });
      if (answer.ok) return answer;
      await answer.body?.cancel();
      throw failure(answer, url, asked, settings);
    });
}

/** The files under a folder with their sizes, without those, and the folders, whose name begins with a dot. */
async function filesOf(folder: string): Promise<Map<string, number>> {
  try {
    return new Map(await walk(folder, "", await Deno.realPath(folder)));
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    throw isAbsent ? new CheckpointError(`${folder} is no folder of a saved model`) : error;
  }
}

// What a run's folder holds that is none of its result.
const ofTheRun = /^(checkpoints|metrics\.jsonl|events\.out\.tfevents\..*)$/;

async function walk(folder: string, prefix: string, root: string): Promise<[path: string, bytes: number][]> {
  const found: [string, number][] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(folder, prefix))) {
    const path = prefix + name;
    if (name.startsWith(".") || (prefix === "" && ofTheRun.test(name))) continue;
    if (isDirectory) found.push(...await walk(folder, `${path}/`, root));
    else found.push([path, await sizeInside(join(folder, path), root)]);
  }
  return found.toSorted(([a], [b]) => a < b ? -1 : 1);
}

async function sizeInside(path: string, root: string): Promise<number> {
  const { isFile, size } = await Deno.stat(path);
  if (isFile && (await Deno.realPath(path)).startsWith(`${root}/`)) return size;
  throw new HubError(`${path} leads out of the folder: only files in ${root} itself are uploaded, put a copy there`);
}

const described = [
  ["config.json", /^(model|model-.*)\.safetensors$|^pytorch_model.*\.bin$/],
  ["adapter_config.json", /^adapter_model\.safetensors$/],
  ["fewtune_adapter.json", /^fewtune_adapter\.safetensors$/],
] as const;

function requireModel(folder: string, files: ReadonlyMap<string, number>): void {
  const names = [...files.keys()];
  if (files.has("train_config.json") && !files.has("training.json")) {
    throw new CheckpointError(
      `${folder} holds a training run that is not finished: finish it (fewtune train --resume)`,
    );
  }
  if (described.some(([config, weights]) => files.has(config) && names.some((name) => weights.test(name)))) return;
  throw new CheckpointError(
    `${folder} holds no saved model: neither config.json with model.safetensors, ` +
      `nor adapter_config.json with adapter_model.safetensors, nor fewtune_adapter.json with its weights`,
  );
}
