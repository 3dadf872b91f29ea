// The layers point down only, the library never prints or exits, and files keep to the house's form.

import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const root = new URL("..", import.meta.url).pathname;

// What each layer may import, besides itself and the files at the bottom, which import nothing.
const torch = ["native", "torch"];
const models = [...torch, "nn", "files", "models"];
const training = [...models, "options", "hub", "selective", "methods", "data", "metrics"];
const layers: Readonly<Record<string, readonly string[]>> = {
  native: [],
  files: [],
  options: ["files"],
  hub: ["native", "files"],
  torch: ["native"],
  nn: torch,
  models,
  selective: [...models, "options"],
  methods: [...models, "options", "hub", "selective"],
  data: [],
  metrics: [],
  export: [...models, "methods"],
  train: training,
  experiments: [...training, "train"],
  report: [...training, "train"],
  cli: [...training, "export", "train", "experiments", "report"],
};
const bottom = ["src/errors.ts", "src/version.ts"];

function files(folder: string, pattern: RegExp): string[] {
  const entries = [...Deno.readDirSync(join(root, folder))].map(({ name, isDirectory }) => ({ name, isDirectory }));
  return entries.flatMap(({ name, isDirectory }) => {
    const path = join(folder, name);
    if (isDirectory) return name.startsWith(".") || name === "node_modules" ? [] : files(path, pattern);
    return pattern.test(name) ? [path] : [];
  });
}

function read(path: string): string {
  return Deno.readTextFileSync(join(root, path));
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*.*?\*\//gs, "").replaceAll(/(^|\s)\/\/.*$/gm, "");
}

function importsOf(path: string): string[] {
  const code = withoutComments(read(path));
  const found = code.matchAll(/\b(?:from|import)\s*\(?\s*"([^"]+)"/g);
  return [...found].map(([, specifier = ""]) => specifier);
}

function localImports(path: string): string[] {
  return importsOf(path).filter((specifier) => specifier.startsWith("."))
    .map((specifier) => join(dirname(path), specifier));
}

function layerOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Everything that is loaded with `path`. */
function graphOf(path: string, seen = new Set<string>()): Set<string> {
  if (!seen.has(path)) {
    seen.add(path);
    for (const next of localImports(path)) graphOf(next, seen);
  }
  return seen;
}

const sources = files("src", /\.ts$/);

Deno.test("a layer imports itself, what its list names, and the files at the bottom", () => {
  assert.ok(sources.length > 50);
  for (const path of sources.filter((path) => !bottom.includes(path))) {
    const layer = layerOf(path);
    const allowed = layers[layer];
    assert.ok(allowed, `${path} is in no layer`);
    for (const target of localImports(path)) {
      const isBelow = bottom.includes(target) || layerOf(target) === layer || allowed.includes(layerOf(target));
      assert.ok(target.startsWith("src/") && isBelow, `${path} may not import ${target}`);
    }
  }
  for (const path of bottom) assert.deepEqual(importsOf(path).filter((specifier) => !specifier.startsWith(".")), []);
});

Deno.test("the lists are an order: nothing is above itself", () => {
  const names = Object.keys(layers);
  for (const [index, name] of names.entries()) {
    for (const below of layers[name] ?? []) {
      assert.ok(below === name || names.indexOf(below) < index, `${name} ${below}`);
    }
  }
});

Deno.test("only cli.ts imports the command line", () => {
  for (const path of [...sources.filter((path) => layerOf(path) !== "cli"), "mod.ts"]) {
    assert.deepEqual(localImports(path).filter((target) => layerOf(target) === "cli"), [], path);
  }
});

Deno.test("mod.ts loads from a URL: relative imports, npm: and node: alone, and neither experiments nor commands", () => {
  const graph = graphOf("mod.ts");
  assert.ok(graph.has("src/torch/tensor.ts") && graph.has("src/native/load.ts"));
  for (const path of graph) {
    assert.ok(!["experiments", "cli"].includes(layerOf(path)), path);
    for (const specifier of importsOf(path)) assert.match(specifier, /^(\.\.?\/|npm:[^ ]+@\d|node:)/, path);
  }
  const npm = new Set([...graph].flatMap(importsOf).flatMap((specifier) => /^npm:@?[^@]+/.exec(specifier) ?? []));
  assert.ok(npm.size <= 5, [...npm].join(" "));
  assert.equal(JSON.parse(read("deno.json")).imports, undefined);
});

Deno.test("the library neither prints nor exits: only the command line does", () => {
  for (const path of sources.filter((path) => layerOf(path) !== "cli")) {
    const found = withoutComments(read(path)).match(/\bconsole\.|\bDeno\.(exit|stdout|stderr)\b|\bprocess\.(exit|std)/);
    assert.equal(found, null, `${path}: ${found?.[0]}`);
  }
});

const everything = [
  ...["src", "tests", "tools", "bench", "examples", "native"].flatMap((folder) => files(folder, /\.(ts|h|cpp)$/)),
  ...["mod.ts", "cli.ts"],
];

Deno.test("a file says in its first line what it is, and is not longer than 500 lines", () => {
  for (const path of everything) {
    const text = read(path);
    assert.match(text, /^\/\/ \S/, relative(root, path));
    assert.ok(text.split("\n").length <= 501, `${path} has ${text.split("\n").length} lines`);
  }
});

Deno.test("no value is of type any", () => {
  for (const path of everything.filter((path) => path.endsWith(".ts"))) {
    const code = withoutComments(read(path)).replaceAll(/"(?:[^"\\\n]|\\.)*"|\/(?:[^/\\\n]|\\.)+\/[gimsu]*/g, "");
    const found = code.match(/(?::|<|\bas|=>|\|)\s*any\b/);
    assert.equal(found, null, `${path}: ${found?.[0]}`);
  }
});
