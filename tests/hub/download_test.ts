// Downloads over a network with faults: what arrives is whole and right, or the error says what to do.

import assert from "node:assert/strict";
import type { DownloadEvent } from "../../src/hub/options.ts";
import { type Fault, gitTag, noise, sha256 } from "./server.ts";
import { changed, cutAfter, everythingUnder, type HubPlace, hubPlace, sometimes, status } from "./support.ts";

const weights = noise(300_000);
const files = { "config.json": `{"a": 1}`, "model.safetensors": weights, "data/deep/empty.txt": "" };
const fromStorage = /^GET \/[0-9a-f]{64}$/;

/** A hub with a model, and the faults that happen there. */
function place(...faults: readonly Fault[]): HubPlace {
  const made = hubPlace();
  made.hub.add("model", "org/name", files);
  made.hub.faults.push(...faults);
  return made;
}

async function fetched({ open }: HubPlace, path = "model.safetensors", idle = 10_000): Promise<Uint8Array> {
  const repository = await open({ patience: { firstPause: 1, idle } });
  return Deno.readFileSync(await repository.fetch(path));
}

function ranges({ hub }: HubPlace): (string | null)[] {
  return hub.received.filter(({ server }) => server === "storage").map(({ headers }) => headers.get("range"));
}

Deno.test("files come into the cache as Python's library lays it out", async () => {
  await using made = place();
  const repository = await made.open();
  const { commit } = repository;
  assert.deepEqual(repository.paths, Object.keys(files));
  for (const [path, content] of Object.entries(files)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    assert.deepEqual(Deno.readFileSync(await repository.fetch(path)), bytes);
  }
  const [small, empty, large] = [`{"a": 1}`, ""].map((text) => gitTag(new TextEncoder().encode(text)))
    .concat(sha256(weights));
  assert.deepEqual(everythingUnder(made.cacheFolder), {
    "models--org--name/refs/main": "file",
    [`models--org--name/blobs/${small}`]: "file",
    [`models--org--name/blobs/${empty}`]: "file",
    [`models--org--name/blobs/${large}`]: "file",
    [`models--org--name/snapshots/${commit}/config.json`]: `../../blobs/${small}`,
    [`models--org--name/snapshots/${commit}/model.safetensors`]: `../../blobs/${large}`,
    [`models--org--name/snapshots/${commit}/data/deep/empty.txt`]: `../../../../blobs/${empty}`,
    ...Object.fromEntries([small, empty, large].map((tag) => [`.locks/models--org--name/${tag}.lock`, "file"])),
  });
  assert.equal(Deno.readTextFileSync(`${made.cacheFolder}/models--org--name/refs/main`), commit);
});

Deno.test("what is there is not asked for again, in another commit neither", async () => {
  await using made = place();
  await fetched(made);
  const before = made.hub.asked("GET", "storage").length;
  await fetched(made);
  assert.equal(made.hub.asked("HEAD").length, 1);
  const [repository] = made.hub.repositories;
  repository?.revisions.set("main", {
    id: "f".repeat(40),
    files: repository.revisions.get("main")?.files ?? new Map(),
  });
  repository?.revisions.set("f".repeat(40), repository.revisions.get("main") ?? { id: "", files: new Map() });
  assert.deepEqual(await fetched(made), weights);
  assert.equal(made.hub.asked("HEAD").length, 2);
  assert.equal(made.hub.asked("GET", "storage").length, before);
});

Deno.test("a connection that is cut is gone on with where it broke", async () => {
  await using made = place(sometimes(fromStorage, 2, cutAfter(100_000)));
  assert.deepEqual(await fetched(made), weights);
  assert.deepEqual(ranges(made), [null, "bytes=100000-", "bytes=200000-"]);
});

Deno.test("a download that goes on a little each time is not given up", async () => {
  await using made = place(sometimes(fromStorage, 7, cutAfter(30_000)));
  assert.deepEqual(await fetched(made), weights);
  assert.equal(ranges(made).length, 8);
});

Deno.test("the next process goes on with what is there", async () => {
  await using made = place(sometimes(fromStorage, 1, cutAfter(120_000)), sometimes(fromStorage, 4, status(503)));
  await assert.rejects(fetched(made), { name: "HubError", message: /in trouble \(503\): try again later/ });
  const tag = sha256(weights);
  assert.equal(Deno.statSync(`${made.cacheFolder}/models--org--name/blobs/${tag}.incomplete`).size, 120_000);
  assert.deepEqual(await fetched(made), weights);
  assert.equal(ranges(made).at(-1), "bytes=120000-");
  assert.ok(!Object.keys(everythingUnder(made.cacheFolder)).some((path) => path.endsWith(".incomplete")));
});

Deno.test("what another content left is not gone on with", async () => {
  const other = noise(300_000, 2);
  const swap: Fault = (_request, _answer) => {
    const [repository] = made.hub.repositories;
    const commit = repository?.revisions.get("main");
    commit?.files.set("model.safetensors", other);
    return null;
  };
  await using made = place(sometimes(fromStorage, 1, cutAfter(100_000)), sometimes(/^HEAD/, 1, () => null));
  // The second time that the file is announced, it is another one.
  let announcements = 0;
  made.hub.faults.push(sometimes(/^HEAD/, 2, (...args) => ++announcements === 2 ? swap(...args) : null));
  assert.deepEqual(await fetched(made), other);
  assert.deepEqual(ranges(made), [null, null]);
});

Deno.test("a file that changes between its announcement and its download starts anew, however often", async () => {
  const last = noise(300_000, 2);
  const contents = [noise(300_000, 4), noise(300_000, 3), last];
  await using made = place(sometimes(/^GET .*resolve/, contents.length, () => {
    made.hub.repositories[0]?.revisions.get("main")?.files.set("model.safetensors", contents.shift() ?? last);
    return null;
  }));
  assert.deepEqual(await fetched(made), last);
});

Deno.test("a server that ignores the range sends the file from its beginning", async () => {
  const whole: Fault = (request, _answer) =>
    request.headers.has("range") ? new Response(weights, { headers: { "content-length": "300000" } }) : null;
  await using made = place(sometimes(fromStorage, 1, cutAfter(100_000)), sometimes(fromStorage, 9, whole));
  assert.deepEqual(await fetched(made), weights);
});

Deno.test("a server that sends another range, or none is left, is asked for the whole file", async () => {
  const shifted = changed((content, headers) => {
    headers.set("content-range", "bytes 5-299999/300000");
    return content;
  });
  for (const fault of [shifted, status(416)]) {
    await using made = place(sometimes(fromStorage, 1, cutAfter(100_000)), sometimes(fromStorage, 1, fault));
    assert.deepEqual(await fetched(made), weights);
    assert.deepEqual(ranges(made), [null, "bytes=100000-", null]);
  }
});

Deno.test("a damaged download is repeated once, and then refused; nothing of it stays", async () => {
  const flip = changed((content) => {
    content[1] = (content[1] ?? 0) ^ 1;
    return content;
  });
  for (
    const [path, pattern] of [["model.safetensors", fromStorage], ["config.json", /^GET .*config\.json$/]] as const
  ) {
    {
      await using made = place(sometimes(pattern, 1, flip));
      assert.deepEqual((await fetched(made, path)).length, files[path].length);
    }
    await using made = place(sometimes(pattern, 2, flip));
    const message = new RegExp(`${path} of org/name came damaged: .* does not fit the hub's tag`);
    await assert.rejects(fetched(made, path), { name: "HubError", message });
    assert.ok(!Object.keys(everythingUnder(made.cacheFolder)).some((name) => /blobs|snapshots/.test(name)));
  }
});

Deno.test("a file of the wrong size is refused", async () => {
  const longer = changed((content) => new Uint8Array([...content, 1, 2, 3]));
  await using made = place(sometimes(fromStorage, 2, longer));
  await assert.rejects(fetched(made), { name: "HubError", message: /came with 300003 bytes, the hub said 300000/ });
  const shorter = changed((content) => content.slice(0, -3));
  await using second = place(sometimes(fromStorage, 9, shorter));
  await assert.rejects(fetched(second), { name: "HubError", message: /ended after 299997 of 300000 bytes/ });
});

Deno.test("a server that falls silent counts as dead, one that is slow does not", async () => {
  const silent: Fault = async (_request, answer) => {
    const content = await (await answer()).bytes();
    return new Response(new ReadableStream({ start: (controller) => controller.enqueue(content.slice(0, 1000)) }), {
      headers: { "content-length": String(content.length) },
    });
  };
  const [path, idle] = ["model.safetensors", 1000];
  await using made = place(sometimes(fromStorage, 1, silent));
  assert.deepEqual(await fetched(made, path, idle), weights);
  assert.deepEqual(ranges(made), [null, "bytes=1000-"]);

  const slow: Fault = async (_request, answer) => {
    const content = await (await answer()).bytes();
    let sent = 0;
    const pull = async (controller: ReadableStreamDefaultController): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 150));
      controller.enqueue(content.slice(sent, sent += 30_000));
      if (sent >= content.length) controller.close();
    };
    return new Response(new ReadableStream({ pull }), { headers: { "content-length": String(content.length) } });
  };
  await using second = place(sometimes(fromStorage, 1, slow));
  const started = performance.now();
  assert.deepEqual(await fetched(second, path, idle), weights);
  assert.deepEqual(ranges(second), [null]);
  assert.ok(performance.now() - started > idle);
});

Deno.test("a server that never answers is given up", async () => {
  await using made = place(sometimes(/^HEAD/, 99, () => new Promise(() => {})));
  const patience = { firstPause: 1, idle: 50, attempts: 3 };
  const repository = await made.open({ patience });
  await assert.rejects(repository.fetch("config.json"), {
    name: "HubError",
    message: /cannot be reached \(silent for 0\.05 s/,
  });
  assert.equal(made.hub.asked("HEAD").length, 3);
});

Deno.test("too many requests: a short wait is waited for, a long one is said", async () => {
  await using made = place(sometimes(/^HEAD/, 1, status(429, { "retry-after": "1" })));
  const started = performance.now();
  assert.deepEqual(await fetched(made), weights);
  assert.ok(performance.now() - started >= 1000);

  const date = (seconds: number): string => new Date(Date.now() + 1000 * seconds).toUTCString();
  await using second = place(sometimes(fromStorage, 1, status(429, { "retry-after": date(2) })));
  const secondStarted = performance.now();
  assert.deepEqual(await fetched(second), weights);
  assert.ok(performance.now() - secondStarted >= 900);

  const long: readonly [string, string, string][] = [
    ["retry-after", "600", "10 minutes"],
    ["retry-after", date(3600), "60 minutes"],
    ["retry-after", "90", "90 seconds"],
    ["ratelimit", `"resolvers";r=0;t=240`, "4 minutes"],
  ];
  for (const [header, value, when] of long) {
    await using third = place(sometimes(/^HEAD/, 1, status(429, { [header]: value })));
    const message = new RegExp(`too many requests \\(429\\): try again in ${when}`);
    await assert.rejects(fetched(third), { name: "HubError", status: 429, message });
    assert.equal(third.hub.asked("HEAD").length, 1);
  }
});

Deno.test("an address in the storage that has expired is asked for anew", async () => {
  await using made = place(sometimes(fromStorage, 1, status(403)));
  assert.deepEqual(await fetched(made), weights);
  const [first, second] = made.hub.asked("GET", "storage");
  assert.notEqual(first, second);
});

Deno.test("a hub that is away for longer than anybody waits is not waited for", async () => {
  await using made = place(sometimes(/^HEAD/, 1, status(503, { "retry-after": "600" })));
  await assert.rejects(fetched(made), {
    name: "HubError",
    status: 503,
    message: /in trouble \(503\): try again later/,
  });
  assert.equal(made.hub.asked("HEAD").length, 1);
});

Deno.test("a web page is no file", async () => {
  const page: Fault = () => new Response("<html>log in</html>", { headers: { "content-type": "text/html" } });
  await using made = place(sometimes(fromStorage, 1, page));
  await assert.rejects(fetched(made), {
    name: "HubError",
    message: /a web page instead of model\.safetensors .*proxy/,
  });
  await using listing = place(sometimes(/^GET \/api/, 1, page));
  await assert.rejects(fetched(listing), { name: "HubError", message: /a web page instead of the files of org\/name/ });
  await using head = place(
    sometimes(/^HEAD/, 1, () => new Response(null, { headers: { "content-type": "text/html" } })),
  );
  await assert.rejects(fetched(head), { name: "HubError", message: /answers .* as no hub does .*HF_ENDPOINT/ });
});

Deno.test("the token goes to the hub and nowhere else", async () => {
  await using made = place();
  const repository = await made.open({ token: "hf_known" });
  await repository.fetch("model.safetensors");
  await repository.fetch("config.json");
  for (const { server, headers } of made.hub.received) {
    assert.equal(headers.get("authorization"), server === "hub" ? "Bearer hf_known" : null);
  }
  assert.deepEqual(new Set(made.hub.received.map(({ server }) => server)), new Set(["hub", "storage"]));
});

Deno.test("an ETag that is no file name is refused", async () => {
  for (const tag of ["../../evil", "", "a/b", `${"x".repeat(300)}`]) {
    await using made = place(sometimes(
      /^HEAD/,
      1,
      changed((content, headers) => {
        headers.set("etag", `"${tag}"`);
        return content;
      }),
    ));
    await assert.rejects(fetched(made, "config.json"), {
      name: "HubError",
      message: /no usable ETag for config\.json/,
    });
  }
});

Deno.test("progress: bytes on the disk up to the whole, and what was there before counts", async () => {
  const events: DownloadEvent[] = [];
  await using made = place(sometimes(fromStorage, 1, cutAfter(100_000)));
  const repository = await made.open({ onProgress: (event) => events.push(event) });
  await repository.fetch("model.safetensors");
  const path = "model.safetensors";
  assert.deepEqual(events[0], { type: "download", repository: "org/name", path, done: 0, total: 300_000 });
  assert.deepEqual(events.at(-1), { type: "download", repository: "org/name", path, done: 300_000, total: 300_000 });
  assert.ok(events.every(({ done }, index) => done >= (events[index - 1]?.done ?? 0)));
});

Deno.test("a signal ends a download, and what came stays", async () => {
  await using made = place(sometimes(fromStorage, 1, async (_request, answer) => {
    const content = await (await answer()).bytes();
    return new Response(new ReadableStream({ start: (controller) => controller.enqueue(content.slice(0, 70_000)) }));
  }));
  const stop = new AbortController();
  const onProgress = ({ done }: DownloadEvent): void => done >= 70_000 ? stop.abort(new Error("enough")) : undefined;
  const repository = await made.open({ signal: stop.signal, onProgress });
  const ended = assert.rejects(repository.fetch("model.safetensors"), { message: "enough" });
  setTimeout(() => stop.abort(new Error("enough")), 300);
  await ended;
  assert.deepEqual(await fetched(made), weights);
  assert.deepEqual(ranges(made), [null, "bytes=70000-"]);
});
