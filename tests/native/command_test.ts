// Running other programs: their lines, and that they are ended in time.

import assert from "node:assert/strict";
import { run, runIfPresent } from "../../src/native/command.ts";

Deno.test("run gives the exit code and the lines of both streams", async () => {
  const seen: string[] = [];
  const { code, lines, timedOut } = await run("sh", ["-c", "echo one; printf 'two\\rthree' >&2; exit 3"], {
    timeout: 10,
    onLine: (line) => seen.push(line),
  });
  assert.deepEqual({ code, timedOut }, { code: 3, timedOut: false });
  assert.deepEqual([...lines].sort(), ["one", "three", "two"]);
  assert.deepEqual(seen, lines);
});

Deno.test("run ends a program that takes too long, whatever its children do", async () => {
  const started = performance.now();
  const { timedOut, lines } = await run("sh", ["-c", "echo begun; sleep 3; echo done"], { timeout: 0.3 });
  assert.ok(timedOut);
  assert.deepEqual(lines, ["begun"]);
  assert.ok(performance.now() - started < 2500);
});

Deno.test("runIfPresent tells a program that is not there", async () => {
  assert.equal(await runIfPresent("no-such-program", [], { timeout: 1 }), null);
});
