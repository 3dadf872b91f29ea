// examples/train.ts runs with the command and the permissions that its first lines give.

import assert from "node:assert/strict";
import { join } from "node:path";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { cacheFolder } from "../../src/native/cache.ts";
import { repository } from "./server.ts";

const example = Deno.readTextFileSync(new URL("examples/train.ts", repository));

function documentedCommand(): string[] {
  const lines = example.split("\n").filter((line) => line.startsWith("//   "));
  return lines.flatMap((line) => line.slice(2).trim().split(/\s+/));
}

Deno.test("the example trains, predicts and saves with the permissions that it lists", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const places: Record<string, string> = {
      MODEL: await minilmFolder(cacheFolder("models")),
      OUTPUT: join(folder, "output"),
    };
    const [program, ...args] = documentedCommand().map((word) => places[word] ?? word);
    assert.equal(program, "deno");
    assert.ok(args.every((word) => word !== "-A" && !word.startsWith("--allow-all")));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args,
      cwd: repository.pathname,
      env: { NO_COLOR: "1" },
      stdin: "null",
      signal: AbortSignal.timeout(300_000),
    }).output();
    const shown = new TextDecoder().decode(stdout);
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.ok(Number(/accuracy: ([\d.]+)/.exec(shown)?.[1]) >= 0.8, shown);
    assert.match(shown, /It fell apart in my hands\. \{ negative: 0\.[5-9]/);
    const saved = Deno.readDirSync(join(folder, "output")).toArray().map(({ name }) => name);
    for (const name of ["config.json", "model.safetensors", "tokenizer.json"]) assert.ok(saved.includes(name), name);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("the README gives the same permissions", () => {
  const flags = documentedCommand().filter((word) => word.startsWith("--"));
  const readme = Deno.readTextFileSync(new URL("README.md", repository));
  assert.ok(readme.includes(`deno run ${flags.join(" ")} `), flags.join(" "));
});

Deno.test("the example is short and uses nothing but the public interface", () => {
  assert.ok(example.split("\n").length < 50);
  const imports = example.matchAll(/from "([^"]+)"/g).toArray().map(([, specifier]) => specifier);
  assert.deepEqual(imports, ["../mod.ts"]);
});
