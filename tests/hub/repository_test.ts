// What the hub answers about a repository, what it refuses, what the cache knows without it, and hostile listings.

import assert from "node:assert/strict";
import type { HubOptions } from "../../src/hub/options.ts";
import { openRepository } from "../../src/hub/repository.ts";
import { commitTo, knownToken, noise, type ServedRepository } from "./server.ts";
import { changed, everythingUnder, type HubPlace, hubPlace, nobody, sometimes, status } from "./support.ts";

const files = { "config.json": "{}", "model.safetensors": noise(5000) };

interface ModelPlace extends HubPlace {
  readonly model: ServedRepository;
}

function place(): ModelPlace {
  const made = hubPlace();
  return { ...made, model: made.hub.add("model", "org/name", files) };
}

Deno.test("a branch, a tag, a pull request and a commit are revisions", async () => {
  await using made = place();
  const { model, open, cacheFolder } = made;
  const first = model.revisions.get("main")?.id ?? "";
  const second = commitTo(model, "main", { ...files, "config.json": `{"b": 2}` });
  model.revisions.set("v1.0", model.revisions.get(first) ?? second);
  model.revisions.set("refs/pr/7", model.revisions.get(first) ?? second);
  const text = async (options: HubOptions): Promise<string> =>
    Deno.readTextFileSync(await (await open(options)).fetch("config.json"));
  assert.equal(await text({}), `{"b": 2}`);
  for (const revision of ["v1.0", first, "refs/pr/7"]) assert.equal(await text({ revision }), "{}", revision);
  const refs = (name: string): string => Deno.readTextFileSync(`${cacheFolder}/models--org--name/refs/${name}`);
  assert.deepEqual(["main", "v1.0", "refs/pr/7"].map(refs), [second.id, first, first]);
  const refFiles = Object.keys(everythingUnder(`${cacheFolder}/models--org--name/refs`));
  assert.deepEqual(refFiles.toSorted(), ["main", "refs/pr/7", "v1.0"]);
});

Deno.test("a branch that moves is followed", async () => {
  await using made = place();
  const before = await made.open();
  commitTo(made.model, "main", { "config.json": "new" });
  const after = await made.open();
  assert.notEqual(before.commit, after.commit);
  assert.deepEqual(after.paths, ["config.json"]);
  assert.equal(Deno.readTextFileSync(await after.fetch("config.json")), "new");
});

Deno.test("datasets, and names of one word, have places of their own", async () => {
  await using made = place();
  made.hub.add("dataset", "org/name", { "train.csv": "text,label\n" });
  made.hub.add("model", "bert", files);
  const dataset = await openRepository("dataset", "org/name", made.options);
  assert.equal(Deno.readTextFileSync(await dataset.fetch("train.csv")), "text,label\n");
  await (await openRepository("model", "bert", made.options)).fetch("model.safetensors");
  const folders = Deno.readDirSync(made.cacheFolder).toArray().map(({ name }) => name).toSorted();
  assert.deepEqual(folders, [".locks", "datasets--org--name", "models--bert"]);
});

Deno.test("a repository that was renamed is found", async () => {
  await using made = place();
  made.hub.moved.set("old/name", "org/name");
  const repository = await openRepository("model", "old/name", made.options);
  assert.deepEqual(Deno.readFileSync(await repository.fetch("model.safetensors")), files["model.safetensors"]);
});

Deno.test("each refusal says what to do", async () => {
  const cases: readonly [ServedRepository["access"] | "absent", HubOptions, number, RegExp][] = [
    ["absent", {}, 401, /no model org\/name on .*\(401\): check the name, and set HF_TOKEN if it is private/],
    ["absent", { token: knownToken }, 404, /no model org\/name on .*\(404\): check the name, and that your token may/],
    ["private", {}, 401, /set HF_TOKEN if it is private/],
    ["gated", {}, 401, /org\/name is gated: accept its licence on http:\S+\/org\/name and set HF_TOKEN/],
    ["closed", {}, 403, /refuses the model of org\/name \(403\): set HF_TOKEN to a token that may/],
    ["closed", { token: knownToken }, 403, /is gated: accept its licence on \S+ with the account of your token/],
    ["public", { token: "hf_wrong" }, 401, /does not know your token \(401\): set HF_TOKEN to a valid one/],
    ["public", { revision: "v9" }, 404, /org\/name has no revision v9: give one of its branches, tags or commits/],
  ];
  for (const [access, options, code, message] of cases) {
    await using made = place();
    if (access === "absent") made.hub.repositories.length = 0;
    else made.model.access = access;
    await assert.rejects(made.open(options), { name: "HubError", status: code, message });
    assert.deepEqual(everythingUnder(made.cacheFolder), {}, "something was written");
  }
});

Deno.test("a private and a gated repository open to the token", async () => {
  for (const access of ["private", "gated"] as const) {
    await using made = place();
    made.model.access = access;
    await (await made.open({ token: knownToken })).fetch("model.safetensors");
  }
});

Deno.test("a gate that only the files have, and a file that is not there", async () => {
  await using made = place();
  const repository = await made.open();
  await assert.rejects(repository.fetch("none.json"), {
    status: 404,
    message: /has no file none\.json at revision main/,
  });
  made.model.access = "gated";
  await assert.rejects(repository.fetch("config.json"), { message: /is gated: accept its licence/ });
});

Deno.test("a hub in trouble is asked again, five times at most", async () => {
  await using made = place();
  made.hub.faults.push(sometimes(/^GET \/api/, 4, status(502)));
  assert.equal((await made.open()).paths.length, 2);
  await using second = place();
  second.hub.faults.push(sometimes(/^GET \/api/, 99, status(500)));
  await assert.rejects(second.open(), { status: 500, message: /is in trouble \(500\): try again later/ });
  assert.equal(second.hub.asked("GET").length, 5);
});

Deno.test("without a network, or with a hub in trouble, the cache stands in for it", async () => {
  await using made = place();
  const { open, cacheFolder } = made;
  const online = await open();
  await online.fetch("config.json");
  made.hub.faults.push(sometimes(/./, 1, status(503)));
  const unheard = nobody();
  const situations: readonly [HubOptions, RegExp][] = [
    [{ offline: true }, /HF_HUB_OFFLINE keeps it off the network/],
    [{ endpoint: unheard }, /cannot be reached \(.*refused.*check the network/],
    [{}, /is in trouble \(503\)/],
  ];
  for (const [options, why] of situations) {
    const repository = await open(options);
    assert.deepEqual([repository.commit, repository.paths, repository.isOffline], [
      online.commit,
      ["config.json"],
      true,
    ]);
    assert.equal(Deno.readTextFileSync(await repository.fetch("config.json")), "{}");
    const message = new RegExp(
      `^model\\.safetensors of org/name at revision main is not in the cache \\(.*\\), and .*`,
    );
    await assert.rejects(repository.fetch("model.safetensors"), ({ message: found }: Error) => {
      assert.match(found, message);
      assert.match(found, why);
      assert.ok(found.includes(cacheFolder));
      return true;
    });
    const pinned = await open({ ...options, offline: true, revision: online.commit });
    assert.deepEqual(pinned.paths, ["config.json"]);
  }
  const unknown = { message: /^the model org\/name at revision v2 is not in the cache .*HF_HUB_OFFLINE/ };
  await assert.rejects(open({ offline: true, revision: "v2" }), unknown);
  await assert.rejects(open({ endpoint: unheard, revision: "v2" }), {
    message: /cannot be reached .*HF_HUB_OFFLINE=1/,
  });
});

Deno.test("an answer that is none of a hub's is refused", async () => {
  for (const text of ["", "[]", "null", `{"sha": "../..", "siblings": []}`, `{"sha": "${"a".repeat(40)}"}`, "{"]) {
    await using made = place();
    made.hub.faults.push(sometimes(/^GET \/api/, 1, () => new Response(text)));
    await assert.rejects(
      made.open(),
      { name: "HubError", message: /does not answer as a hub does .*HF_ENDPOINT/ },
      text,
    );
  }
});

const hostile = [
  ...["../evil", "../../evil", "../../../evil", "a/../../evil", "/etc/x", "a\\b", "..\\evil", "C:evil", "c:/evil"],
  ...["a\0b", "a//b", "./a", "a/.", "a/..", "..", ".", "", "a/", "\n", "x".repeat(300)],
];

Deno.test("a hostile listing writes nothing outside its repository's folder", async () => {
  await using made = place();
  const outside = Deno.makeTempDirSync();
  try {
    const cacheFolder = `${outside}/one/two/cache`;
    made.hub.faults.push(sometimes(/^GET \/api/, 1, async (_request, answer) => {
      const listing = await (await answer()).json();
      return Response.json({ ...listing, siblings: [...hostile, "config.json"].map((rfilename) => ({ rfilename })) });
    }));
    // Whatever is asked for is there: only the client stands between it and the disk.
    made.hub.faults.push(
      sometimes(/^(GET|HEAD) .*resolve/, 99, (request) =>
        new Response(request.method === "GET" ? "evil" : null, {
          headers: {
            "x-repo-commit": made.model.revisions.get("main")?.id ?? "",
            "etag": `"evil"`,
            "content-length": "4",
          },
        })),
    );
    const repository = await made.open({ cacheFolder });
    assert.deepEqual(repository.paths, ["config.json"]);
    for (const path of hostile) {
      await assert.rejects(repository.fetch(path), { name: "HubError", message: /no path inside a repository/ }, path);
    }
    await repository.fetch("config.json");
    const written = Object.keys(everythingUnder(outside));
    assert.ok(
      written.length === 4 && written.every((path) => /^one\/two\/cache\/(\.locks\/)?models--org--name\//.test(path)),
    );
  } finally {
    Deno.removeSync(outside, { recursive: true });
  }
});

Deno.test("a file in the place of a folder is an error, and leads nowhere", async () => {
  await using made = place();
  commitTo(made.model, "main", { a: "file", "a/b": "in a file" });
  const repository = await made.open();
  await repository.fetch("a");
  await assert.rejects(repository.fetch("a/b"), { name: "HubError", message: /cannot be written/ });
});

Deno.test("names and revisions that cannot be are not asked for", async () => {
  await using made = place();
  for (const name of ["", "a/b/c", "../x", "org/..", "org/a--b", "/etc", "a b", "org/", "org/na\0me", "-x/y", "a/b."]) {
    await assert.rejects(openRepository("model", name, made.options), { message: /is no name on the hub/ }, name);
  }
  for (const revision of ["", "../x", "/x", "a\\b", "a\0", "a//b"]) {
    await assert.rejects(made.open({ revision }), { message: /is no revision/ }, revision);
  }
  await assert.rejects(made.open({ endpoint: "hub.example" }), { message: /HF_ENDPOINT has to begin with https/ });
  assert.deepEqual(made.hub.received, []);
});

Deno.test("a redirect that never ends is given up", async () => {
  await using made = place();
  const path = "/api/models/org/name/revision/main";
  made.hub.faults.push(
    sometimes(/^GET \/api/, 99, () => new Response(null, { status: 302, headers: { location: path } })),
  );
  await assert.rejects(made.open(), { name: "HubError", message: /redirects org\/name without end/ });
});

Deno.test("a cache that cannot be written is said", async () => {
  await using made = place();
  const file = `${made.cacheFolder}/file`;
  Deno.writeTextFileSync(file, "");
  const message = /file cannot be written .*set HF_HOME/;
  await assert.rejects(made.open({ cacheFolder: file }), { name: "HubError", message });
});

Deno.test("several processes that fetch the same files get them whole", async () => {
  await using made = place();
  const large = noise(2_000_000);
  commitTo(made.model, "main", { ...files, "model.safetensors": large });
  const fromStorage = /^GET \/[0-9a-f]{64}$/;
  // So slow that all of them are there before the first is done.
  made.hub.faults.push(sometimes(fromStorage, 99, async () => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return null;
  }));
  made.hub.faults.push(sometimes(fromStorage, 1, changed((content) => content.slice(0, 1_000_000))));
  const program = `
    import { openRepository } from ${JSON.stringify(new URL("../../src/hub/repository.ts", import.meta.url).href)};
    const repository = await openRepository("model", "org/name");
    const content = await Deno.readFile(await repository.fetch("model.safetensors"));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content)).toHex();
    console.log(hash);
  `;
  const env = { HF_ENDPOINT: made.hub.endpoint, HF_HUB_CACHE: made.cacheFolder, HF_HUB_OFFLINE: "", HF_TOKEN: "" };
  const outputs = await Promise.all(Array.from({ length: 4 }, () =>
    new Deno.Command(Deno.execPath(), {
      args: ["eval", "--no-check", program],
      env,
      signal: AbortSignal.timeout(60_000),
    }).output()));
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", large)).toHex();
  for (const { stdout, stderr } of outputs) {
    assert.equal(new TextDecoder().decode(stdout).trim(), expected, new TextDecoder().decode(stderr));
  }
  const downloads = made.hub.asked("GET", "storage").length;
  assert.ok(downloads <= 2, `${downloads} downloads: one that is cut, and one that goes on with it`);
});
