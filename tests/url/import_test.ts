// A program in an empty folder imports Fewtune from a URL: types check, the shim is built once, and training runs.

import assert from "node:assert/strict";
import { join } from "node:path";
import { findLibTorch } from "../../src/native/libtorch.ts";
import { shimSources } from "../../src/native/shim_sources.ts";
import { repository, serveRepository } from "./server.ts";

const program = (host: string): string => `
import { initialize, liveTensorCount, randomClassifier, train, type TrainOptions } from "http://${host}/mod.ts";

// @ts-expect-error: the types have arrived, and k is a number or "all"
const _wrong: TrainOptions = { k: "many" };

await initialize();
const classifier = randomClassifier({
  model_type: "bert",
  vocab_size: 40,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 32,
  max_position_embeddings: 16,
  type_vocab_size: 2,
}, { target: { labels: ["even", "odd"] } });
const examples = Array.from({ length: 12 }, (_, row) => ({
  inputIds: Array.from({ length: 4 + row }, (_, position) => (7 * row + 3 * position) % 40),
  tokenTypeIds: new Uint8Array(4 + row),
  label: row % 2,
}));
const losses: number[] = [];
await train(classifier, { train: examples }, {
  k: 3,
  batchSize: 4,
  maxSteps: 5,
  onEvent: (event) => event.type === "step" && losses.push(event.loss),
});
classifier[Symbol.dispose]();
console.log(JSON.stringify({ losses, liveTensors: liveTensorCount() }));
`;

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

class EmptyFolder implements Disposable {
  readonly path = Deno.makeTempDirSync();
  readonly cache = join(this.path, "cache");

  constructor(readonly libtorch: string) {
    Deno.mkdirSync(join(this.path, "program"));
  }

  // Deno's own cache is empty too, but for the npm packages: they are not what is tested here.
  linkPackages(npmCache: string): void {
    Deno.mkdirSync(join(this.path, "deno"));
    Deno.symlinkSync(npmCache, join(this.path, "deno/npm"));
  }

  write(text: string): void {
    Deno.writeTextFileSync(join(this.path, "program/main.ts"), text);
  }

  deno(...args: readonly string[]): Promise<Outcome> {
    return runDeno(args, {
      cwd: join(this.path, "program"),
      env: { FEWTUNE_CACHE: this.cache, FEWTUNE_LIBTORCH: this.libtorch, DENO_DIR: join(this.path, "deno") },
    });
  }

  shims(): { readonly path: string; readonly written: number | undefined }[] {
    return Deno.readDirSync(join(this.cache, "shim")).toArray()
      .filter(({ isDirectory }) => isDirectory)
      .map(({ name }) => join(this.cache, "shim", name, "libfewtune.so"))
      .map((path) => ({ path, written: Deno.statSync(path).mtime?.getTime() }));
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

async function runDeno(
  args: readonly string[],
  where: { readonly cwd: string; readonly env?: Record<string, string> },
): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: where.cwd,
    env: { ...where.env, NO_COLOR: "1" },
    stdin: "null",
    signal: AbortSignal.timeout(300_000),
  }).output();
  const text = new TextDecoder();
  return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
}

async function npmCache(): Promise<string> {
  const { stdout } = await runDeno(["info", "--json"], { cwd: repository.pathname });
  return JSON.parse(stdout).npmCache;
}

function assertTrained({ code, stdout, stderr }: Outcome): void {
  assert.equal(code, 0, stderr);
  const { losses, liveTensors } = JSON.parse(stdout) as { losses: number[]; liveTensors: number };
  assert.equal(losses.length, 5);
  assert.ok(losses.every((loss) => loss > 0 && loss < 2), `${losses}`);
  assert.equal(liveTensors, 0);
}

Deno.test("Fewtune is imported from a URL into an empty folder", async (test) => {
  const libtorch = await findLibTorch();
  assert.ok(libtorch !== null, "the tests need LibTorch");
  const server = serveRepository();
  const { host, requests } = server;
  using folder = new EmptyFolder(libtorch.root);
  folder.linkPackages(await npmCache());
  folder.write(program(host));
  const permissions = [
    `--allow-import=${host}`,
    `--allow-net=${host}`,
    "--allow-ffi",
    "--allow-read",
    "--allow-write",
    "--allow-env",
  ];
  const sourcesFetched = (): number => requests.filter((path) => path.startsWith("/native/")).length;

  await test.step("its types check, without anything of the repository's configuration", async () => {
    const { code, stderr } = await folder.deno("check", `--allow-import=${host}`, "main.ts");
    assert.equal(code, 0, stderr);
    assert.equal(sourcesFetched(), 0);
  });

  await test.step("the first run fetches the shim's sources, builds it, and trains", async () => {
    assertTrained(await folder.deno("run", ...permissions, "--allow-run=g++", "main.ts"));
    assert.equal(sourcesFetched(), shimSources.length);
    assert.equal(folder.shims().length, 1);
  });

  await test.step("the second run builds nothing: it may not even start a compiler", async () => {
    const built = folder.shims();
    assertTrained(await folder.deno("run", ...permissions, "main.ts"));
    assert.deepEqual(folder.shims(), built);
  });

  await server[Symbol.asyncDispose]();

  await test.step("later runs do without the server", async () => {
    assertTrained(await folder.deno("run", ...permissions, "main.ts"));
  });
});
