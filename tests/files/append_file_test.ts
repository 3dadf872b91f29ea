// A file that grows by whole records, also where the disk ends in the middle of one.

import assert from "node:assert/strict";
import { join } from "node:path";
import { AppendFile } from "../../src/files/append_file.ts";
import { temporaryFolder } from "../native/fakes.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("a new file begins with its header, and one that is there is gone on with", () => {
  using temporary = temporaryFolder();
  const path = join(temporary.path, "file");
  for (const records of [["one ", "two "], ["three"]]) {
    using file = new AppendFile(path, bytes("head "));
    records.forEach((record) => file.append(bytes(record)));
  }
  assert.equal(Deno.readTextFileSync(path), "head one two three");
});

Deno.test("a file without a record is none", () => {
  using temporary = temporaryFolder();
  const path = join(temporary.path, "file");
  new AppendFile(path, bytes("head"))[Symbol.dispose]();
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound);
});

// Appends twenty records of 100 bytes each, then one of 10; prints how many failed.
const program = `
  const { AppendFile } = await import("${new URL("../../src/files/append_file.ts", import.meta.url)}");
  using file = new AppendFile(Deno.args[0]);
  const lengths = [...new Array(20).fill(100), 10];
  const failed = lengths.filter((length) => {
    try {
      file.append(new Uint8Array(length).fill(length));
    } catch {
      return true;
    }
  });
  console.log(failed.length);`;

Deno.test("a record that does not fit leaves nothing of itself, and a later one that fits is there", async () => {
  using temporary = temporaryFolder();
  const [script, path] = [join(temporary.path, "program.js"), join(temporary.path, "file")];
  Deno.writeTextFileSync(script, program);
  // The system lets a file of this process grow to 1,024 bytes and no further.
  const limited = `trap "" XFSZ; ulimit -f 1; exec "$@"`;
  const { stdout, stderr } = await new Deno.Command("bash", {
    args: ["-c", limited, "bash", Deno.execPath(), "run", "-A", "--no-check", script, path],
  }).output();
  assert.equal(new TextDecoder().decode(stdout), "10\n", new TextDecoder().decode(stderr));
  assert.deepEqual([...Deno.readFileSync(path)], [
    ...new Array<number>(1000).fill(100),
    ...new Array<number>(10).fill(10),
  ]);
});
