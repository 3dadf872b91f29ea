// Each command runs with the permissions of docs/permissions.md and no others, uses each of them, and names one that is missing.

import assert from "node:assert/strict";
import { join } from "node:path";
import { cacheFolder } from "../../src/native/cache.ts";
import { findLibTorch } from "../../src/native/libtorch.ts";
import { hubPlace } from "../hub/support.ts";
import { knownToken } from "../hub/server.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { cliPath, fail, type Outcome, runCli, type RunOptions } from "./run_cli.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

const repository = new URL("../../", import.meta.url);
const page = Deno.readTextFileSync(new URL("docs/permissions.md", repository));

/** The flags that stand in a table's row. */
function flagsOf(row: string): string[] {
  const cell = page.split("\n").find((line) => line.startsWith(`| ${row} |`))?.split(" | ")[1];
  assert.ok(cell !== undefined, `no row ${row}`);
  const flags = [...cell.matchAll(/`(--allow[^`]+)`/g)].map(([, flag = ""]) => flag);
  return cell.startsWith("computing") ? [...flagsOf("computing"), ...flags] : flags;
}

/** What the words of the tables stand for. */
type Places = Readonly<Record<string, string>>;

function inPlace(flags: readonly string[], places: Places): string[] {
  return flags.map((flag) => {
    const [name = "", values] = flag.split("=");
    const meant = values?.split(",").map((word) => /^[A-Z]+$/.test(word) ? places[word] ?? word : word);
    return meant ? `${name}=${meant.join(",")}` : name;
  });
}

interface Access {
  readonly permission: string;
  readonly value: string;
}

/** Each thing that a flag allows was asked for; of the programs that may be run, Deno keeps no account. */
function assertUsed(flags: readonly string[], accesses: readonly Access[], cwd: string): void {
  for (const flag of flags.filter((flag) => !flag.startsWith("--allow-run"))) {
    const [name = "", values] = flag.split("=");
    const asked = accesses.filter(({ permission }) => `--allow-${permission}` === name).map(({ value }) => value);
    for (const value of values?.split(",") ?? [""]) {
      const pattern = new RegExp(`^${RegExp.escape(value).replace("\\*", ".*")}$`);
      const isUsed = asked.some((each) =>
        pattern.test(each) || join(cwd, each, "/").startsWith(join(cwd, value, "/")) ||
        join(each, "/").startsWith(join(value, "/"))
      );
      assert.ok(isUsed, `${name}=${value} is not used: ${[...new Set(asked)].join(" ")}`);
    }
  }
}

class Workplace implements Disposable {
  readonly #folder = temporaryFolder();
  readonly path = this.#folder.path;

  constructor(readonly places: Places) {
    writeTinyModel(this.at("minilm"));
    for (const name of ["mails.csv", "more.csv"]) writeCsv(this.at(name), 12, (good) => good ? "ham" : "spam");
    Deno.mkdirSync(this.at("out"));
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** Runs a command with the permissions of a row, asserts that it ends well and used them, and gives what it printed. */
  async run(
    rows: string | readonly string[],
    args: readonly string[],
    own: Places,
    options: RunOptions = {},
  ): Promise<Outcome> {
    const flags = inPlace([rows].flat().flatMap(flagsOf), { ...this.places, ...own });
    const audit = this.at("audit.jsonl");
    const outcome = await runCli(args, {
      ...options,
      cwd: this.path,
      permissions: ["--no-prompt", ...flags],
      env: { ...options.env, DENO_AUDIT_PERMISSIONS: audit },
    });
    assert.equal(outcome.code, 0, `${args}: ${outcome.stderr}`);
    const lines = flags.length > 0 ? Deno.readTextFileSync(audit).trim().split("\n") : [];
    assertUsed(flags, lines.map((line) => JSON.parse(line)), this.path);
    if (flags.length > 0) Deno.removeSync(audit);
    return outcome;
  }

  [Symbol.dispose](): void {
    this.#folder[Symbol.dispose]();
  }
}

async function workplace(): Promise<Workplace> {
  const libtorch = await findLibTorch();
  assert.ok(libtorch, "the tests need LibTorch");
  const native = new URL("native", repository).pathname;
  return new Workplace({ LIBTORCH: libtorch.root, CACHE: cacheFolder(), SHIM: cacheFolder("shim"), NATIVE: native });
}

function script(path: string, ...lines: readonly string[]): void {
  Deno.writeTextFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  Deno.chmodSync(path, 0o755);
}

Deno.test("commands on what is here: each with its permissions", async (test) => {
  using place = await workplace();
  const train = ["train", "--model", "minilm", "--train", "mails.csv", "--dev", "more.csv", "--output-dir", "out/mine"];

  await test.step("help and completion need none", async () => {
    assert.match((await place.run("`help`", ["help", "train"], {})).stdout, /Usage: fewtune train/);
    assert.match((await place.run("`completion`", ["completion", "bash"], {})).stdout, /complete -F/);
  });

  await test.step("train", async () => {
    await place.run("`train`", [...train, "--max-steps", "2"], {
      MODEL: "minilm",
      TABLES: "mails.csv,more.csv",
      OUT: "out",
    });
  });

  await test.step("eval, predict", async () => {
    const evaluated = await place.run("`eval`", ["eval", "--model", "out/mine", "--data", "more.csv", "--json"], {
      MODEL: "out/mine",
      TABLES: "more.csv",
    });
    assert.equal(JSON.parse(evaluated.stdout).examples, 12);
    const predicted = await place.run("`predict`", ["predict", "--model", "out/mine"], { MODEL: "out/mine" }, {
      stdin: "good film\n",
    });
    assert.match(predicted.stdout, /^(ham|spam) .*good film\n$/);
  });

  await test.step("profile", async () => {
    const args = ["profile", "--model", "minilm", "--batch-size", "2", "--max-length", "16", "--steps", "1", "--json"];
    assert.ok(JSON.parse((await place.run("`profile`", args, { MODEL: "minilm" })).stdout));
  });

  await test.step("export, by a Python that only copies", async () => {
    script(place.at("python"), `cp "$1" "$3"`);
    const args = [
      "export",
      "--onnx",
      "--model",
      "out/mine",
      "--output-dir",
      "out/onnx",
      "--python",
      place.at("python"),
    ];
    await place.run("`export`", args, { MODEL: "out/mine", OUT: "out", TMP: "/tmp", PYTHON: place.at("python") });
  });

  await test.step("doctor", async () => {
    const { stdout } = await place.run("`doctor`", ["doctor", "--json"], {});
    assert.equal(JSON.parse(stdout).libtorch.root, place.places.LIBTORCH);
  });

  await test.step("setup, with a compiler that writes nothing into its files", async () => {
    script(place.at("cc"), `while [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done`);
    const cache = place.at("cache");
    const env = { FEWTUNE_CACHE: cache, FEWTUNE_LIBTORCH: place.places.LIBTORCH ?? "", CXX: place.at("cc") };
    await place.run("`setup`", ["setup"], { SHIM: join(cache, "shim"), COMPILER: place.at("cc") }, { env });
  });

  await test.step("a permission that is missing is named, whichever it is", async () => {
    const flags = inPlace(flagsOf("`train`"), {
      ...place.places,
      MODEL: "minilm",
      TABLES: "mails.csv,more.csv",
      OUT: "out",
    });
    const again = [...train.slice(0, -1), "out/again", "--quiet"];
    for (const missing of flags) {
      const permissions = flags.filter((flag) => flag !== missing);
      const name = missing.split("=")[0];
      await fail(again, 1, new RegExp(`^fewtune: Deno does not allow [^:]+: start it with ${name}\\b`), {
        permissions,
        cwd: place.path,
      });
    }
  });
});

Deno.test("names on the hub: the network is open to the hub alone, and to it only where a name is given", async () => {
  await using hub = hubPlace();
  using place = await workplace();
  const files = ["config.json", "model.safetensors", "tokenizer.json"];
  hub.hub.add(
    "model",
    "org/tiny",
    Object.fromEntries(files.map((name) => [name, Deno.readFileSync(place.at(`minilm/${name}`))])),
  );
  const env = { HF_ENDPOINT: hub.hub.endpoint, HF_HUB_CACHE: "", HUGGINGFACE_HUB_CACHE: hub.cacheFolder, HF_TOKEN: "", HF_HUB_OFFLINE: "" };
  const own = {
    HUB: [hub.hub.endpoint, hub.hub.storage].map((url) => new URL(url).host).join(),
    HUBCACHE: hub.cacheFolder,
  };
  const predict = ["predict", "--model", "org/tiny", "good film"];
  await place.run(["`predict`", "by name"], predict, { ...own, MODEL: "org/tiny" }, { env });
  const local = inPlace([...flagsOf("`predict`"), ...flagsOf("by name").slice(1)], { ...place.places, ...own });
  await fail(predict, 1, /Deno does not allow net access to "127\.0\.0\.1:\d+": start it with --allow-net=127/, {
    env,
    permissions: local,
  });
  await place.run("`push`", ["push", "--model", "minilm", "--repo", "me/tiny"], { ...own, MODEL: "minilm" }, {
    env: { ...env, HF_TOKEN: knownToken },
  });
});
