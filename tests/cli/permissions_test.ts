// Each command runs with the permissions of docs/permissions.md and no others, uses each of them, and names what is missing.

import assert from "node:assert/strict";
import { join } from "node:path";
import { examples } from "../../src/cli/help.ts";
import { makeProgram } from "../../src/cli/program.ts";
import { findLibTorch } from "../../src/native/libtorch.ts";
import { knownToken } from "../hub/server.ts";
import { hubPlace } from "../hub/support.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { commandRows, commonPlaces, permissions, type Places } from "./permissions.ts";
import { fail, type Outcome, runCli, type RunOptions } from "./run_cli.ts";
import { shellWords } from "./shell_words.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

interface Access {
  readonly permission: string;
  readonly value: string | null;
}

/** Each thing that a flag allows was asked for; of programs that were run, Deno keeps no account. */
function assertUsed(flags: readonly string[], accesses: readonly Access[], cwd: string): void {
  for (const flag of flags.filter((flag) => !flag.startsWith("--allow-run"))) {
    const [name = "", values] = flag.split("=");
    const asked = accesses.filter(({ permission }) => `--allow-${permission}` === name).map(({ value }) => value ?? "");
    assert.ok(asked.length > 0, `${name} is not used`);
    for (const allowed of values?.split(",") ?? []) {
      assert.ok(asked.some((each) => isWithin(each, allowed, cwd)), `${name}=${allowed} is not used: ${asked}`);
    }
  }
}

function isWithin(asked: string, allowed: string, cwd: string): boolean {
  if (allowed.endsWith("*")) return asked.startsWith(allowed.slice(0, -1));
  const inFull = (path: string): string => path.startsWith("/") ? join(path, "/") : join(cwd, path, "/");
  return asked === allowed || inFull(asked).startsWith(inFull(allowed));
}

interface Workplace extends Disposable {
  readonly at: (name: string) => string;
  /** Deno's flags for some rows. */
  readonly flags: (rows: readonly string[], own: Places) => string[];
  /** Runs a command with the flags of rows; asserts that it ends well, used each, and printed results alone. */
  readonly run: (
    rows: readonly string[],
    args: readonly string[],
    own: Places,
    prints: RegExp,
    options?: RunOptions,
  ) => Promise<Outcome>;
  readonly path: string;
}

const common = await commonPlaces();
const libtorch = (await findLibTorch())?.root ?? "";

function workplace(): Workplace {
  const temporary = temporaryFolder();
  const { path } = temporary;
  const at = (name: string): string => join(path, name);
  writeTinyModel(at("minilm"));
  for (const name of ["mails.csv", "more.csv"]) writeCsv(at(name), 12, (good) => good ? "ham" : "spam");
  Deno.mkdirSync(at("out"));
  const flags = (rows: readonly string[], own: Places): string[] => permissions(rows, { ...common, ...own });
  return {
    at,
    path,
    flags,
    run: async (rows, args, own, prints, options = {}) => {
      const granted = flags(rows, own);
      const audit = at("audit.jsonl");
      const outcome = await runCli(args, {
        ...options,
        cwd: path,
        permissions: ["--no-prompt", ...granted],
        env: { ...options.env, DENO_AUDIT_PERMISSIONS: audit },
      });
      assert.equal(outcome.code, 0, `${args}: ${outcome.stderr}`);
      assert.match(outcome.stdout, prints);
      if (granted.length === 0) return outcome;
      const accesses = Deno.readTextFileSync(audit).trim().split("\n").map((line) => JSON.parse(line));
      assertUsed(granted, accesses, path);
      Deno.removeSync(audit);
      return outcome;
    },
    [Symbol.dispose]: () => temporary[Symbol.dispose](),
  };
}

function example(command: string, index = 0): string[] {
  const [program, ...args] = shellWords(examples[command]?.[index] ?? "");
  assert.equal(program, "fewtune");
  return args;
}

function script(path: string, ...lines: readonly string[]): void {
  Deno.writeTextFileSync(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  Deno.chmodSync(path, 0o755);
}

const facts = /^([\w. ]+ {2,}\S.*\n)+$/;
const data = { MODEL: "minilm", TABLES: "mails.csv,more.csv", OUT: "out" };

Deno.test("the table has all commands", () => {
  assert.deepEqual(commandRows().toSorted(), [...makeProgram().commands.map((each) => each.name()), "help"].toSorted());
});

Deno.test("the examples on what is here run with these permissions, and print results alone", async (test) => {
  using place = workplace();
  const { at, run } = place;

  await test.step("help, completion", async () => {
    await run(["help"], example("fewtune", 2), {}, /^Usage: fewtune train/);
    await run(["completion"], example("completion"), {}, /^# Completion of fewtune for bash[^]*\ncomplete -F .*\n$/);
  });

  await test.step("train", async () => {
    await run(["train"], example("train"), data, facts);
    Deno.writeTextFileSync(at("mine.yaml"), "model: minilm\nk: 4\n");
    const print = ["train", "--config", "mine.yaml", "--print-config"];
    const { stdout } = await run(["from YAML"], print, { CONFIG: "mine.yaml,minilm" }, /^\{[^]*\}\n$/);
    assert.equal(JSON.parse(stdout).k, 4);
  });

  await test.step("eval, predict", async () => {
    const mine = { MODEL: "out/mine", TABLES: "more.csv" };
    const { stdout } = await run(["eval"], example("eval", 1), mine, /^\{.*\}\n$/);
    assert.equal(JSON.parse(stdout).examples, 12);
    const lines = /^(\{"label":"(ham|spam)","score":0\.\d+\}\n){2}$/;
    await run(["predict"], example("predict", 1), mine, lines, { stdin: "good film\nbad film\n" });
  });

  await test.step("a program of one's own", async () => {
    const library = JSON.stringify(new URL("../../mod.ts", import.meta.url).href);
    Deno.writeTextFileSync(
      at("program.ts"),
      `import { initialize, loadPredictor } from ${library};
       await initialize();
       using predictor = await loadPredictor("out/mine");
       console.log(JSON.stringify(await predictor.predict(["good film"])));`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--no-prompt",
        ...place.flags(["predict"], { MODEL: "out/mine" }),
        "program.ts",
      ],
      cwd: place.path,
      env: { OMP_NUM_THREADS: "1", NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /"label":"(ham|spam)"/);
  });

  await test.step("report", async () => {
    const places = { RUNS: "out/mine", PAGE: "report.html" };
    await run(["report"], [...example("report", 1).slice(0, 2)], places, /^report\.html\n$/);
    const line = /Deno does not allow read access to "out\/mine.*": start it with --allow-read=out\/mine/;
    await fail(example("report", 1), 1, line, { permissions: [], cwd: place.path });
  });

  await test.step("sweep", async () => {
    await run(["sweep"], [...example("sweep"), "--max-steps", "1"], data, /^[^]*seed[^]*\n$/);
  });

  await test.step("profile", async () => {
    const { stdout } = await run(
      ["profile"],
      [...example("profile", 1), "--steps", "1", "--max-length", "64"],
      data,
      /^\{.*\}\n$/,
    );
    assert.equal(JSON.parse(stdout).settings.batchSize, 8);
  });

  await test.step("methods", async () => {
    const { stdout } = await run(["methods"], example("methods", 1), {}, /^\{.*\}\n$/);
    assert.ok(JSON.parse(stdout).methods.length > 2);
  });

  await test.step("export, by a Python that only copies", async () => {
    script(at("python"), `cp "$1" "$3"`);
    const places = { MODEL: "out/mine", OUT: "out", TMP: "/tmp", PYTHON: at("python") };
    await run(["export"], [...example("export"), "--python", at("python")], places, facts);
  });

  await test.step("doctor", async () => {
    const { stdout } = await run(["doctor"], example("doctor", 1), {}, /^\{[^]*\}\n$/);
    assert.equal(JSON.parse(stdout).libtorch.root, libtorch);
  });

  await test.step("setup, with a compiler that writes nothing into its files", async () => {
    script(at("cc"), `while [ $# -gt 0 ]; do [ "$1" = -o ] && : > "$2"; shift; done`);
    const env = { FEWTUNE_CACHE: at("cache"), FEWTUNE_LIBTORCH: libtorch, CXX: at("cc") };
    await run(["setup"], example("setup"), { SHIM: at("cache/shim"), COMPILER: at("cc") }, facts, { env });
  });
});

Deno.test("a permission that is missing is named in one line, whichever it is, and nothing is asked", async () => {
  using place = workplace();
  const flags = place.flags(["train"], data);
  for (const missing of flags) {
    const name = missing.split("=")[0] ?? "";
    const line = new RegExp(`^fewtune: Deno does not allow [^:]+: start it with ${name}\\b`);
    const rest = flags.filter((flag) => flag !== missing);
    await fail(example("train"), 1, line, { permissions: rest, cwd: place.path, openStdin: true });
  }
});

Deno.test("names on the hub: the network is open to the hub alone", async () => {
  await using served = hubPlace();
  using place = workplace();
  const files = ["config.json", "model.safetensors", "tokenizer.json"].map((name) => {
    return [name, Deno.readFileSync(place.at(`minilm/${name}`))] as const;
  });
  served.hub.add("model", "org/tiny", Object.fromEntries(files));
  const [hub, storage] = [served.hub.endpoint, served.hub.storage];
  const env = { HF_ENDPOINT: hub, HF_HUB_CACHE: "", HUGGINGFACE_HUB_CACHE: served.cacheFolder, HF_HUB_OFFLINE: "" };
  const own = { HUB: [hub, storage].map((url) => new URL(url).host).join(), HUBCACHE: served.cacheFolder };
  const predict = ["predict", "--model", "org/tiny", "good film"];
  const rows = ["predict", "by name"];
  await place.run(rows, predict, { ...own, MODEL: "org/tiny" }, /good film\n$/, { env: { ...env, HF_TOKEN: "" } });
  const withoutNet = place.flags(rows, { ...own, MODEL: "org/tiny" }).filter((flag) => !flag.includes("-net"));
  const line = /Deno does not allow net access to "127\.0\.0\.1:\d+": start it with --allow-net=127/;
  await fail([...predict, "--revision", "v1"], 1, line, { env, permissions: withoutNet, cwd: place.path });
  const push = ["push", "--model", "minilm", "--repo", "me/tiny"];
  const site = { ...own, HUB: new URL(hub).host, MODEL: "minilm" };
  const writer = { ...env, HF_TOKEN: "", HUGGING_FACE_HUB_TOKEN: knownToken, HUGGINGFACE_HUB_CACHE: "" };
  await place.run(["push"], push, site, /^http:.*me\/tiny\n$/, { env: writer });
});
