// Files of torch.save: the same bytes as torch.load gives, and hostile ones refused by name, with nothing executed.

import assert from "node:assert/strict";
import { CheckpointError } from "../../src/errors.ts";
import { openTorchWeights } from "../../src/files/torch_weights.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython } from "../support/python.ts";

type Described = readonly [dtype: string, shape: readonly number[], hex: string];

interface Expected {
  readonly sound: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly hostile: Readonly<Record<string, string>>;
}

const files = temporaryFolder();
globalThis.addEventListener("unload", () => files[Symbol.dispose]());
await runPython("torch_files.py", [files.path]);
const expected: Expected = JSON.parse(Deno.readTextFileSync(`${files.path}/expected.json`));

function contentOf(path: string): Record<string, Described> {
  using file = openTorchWeights(path);
  return Object.fromEntries([...file.tensors].map(([name, { dtype, shape, byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(name, bytes);
    return [name, [dtype, shape, bytes.toHex()]];
  }));
}

for (const [name, tensors] of Object.entries(expected.sound)) {
  Deno.test(`${name}: names, types, shapes and bytes are torch.load's`, () => {
    assert.deepEqual(contentOf(`${files.path}/${name}`), tensors);
  });
}

Deno.test("any part of a tensor can be read, a transposed one's too, and nothing outside it", () => {
  using file = openTorchWeights(`${files.path}/protocol2.bin`);
  for (const name of ["matrix", "transposed"]) {
    const hex = expected.sound["protocol2.bin"]?.[name]?.[2] ?? "";
    const part = new Uint8Array(12);
    file.readInto(name, part, 8);
    assert.equal(part.toHex(), hex.slice(16, 40));
    assert.throws(() => file.readInto(name, part, 129), RangeError);
    assert.throws(() => file.readInto(name, part, -1), RangeError);
  }
  assert.throws(() => file.readInto("matrices", new Uint8Array(1)), CheckpointError);
});

Deno.test("there are enough hostile files, and each is refused with its name and the reason in one line", () => {
  const hostile = Object.entries(expected.hostile);
  assert.ok(hostile.length > 80, `${hostile.length}`);
  for (const [name, reason] of hostile) {
    const path = `${files.path}/${name}`;
    const before = Deno.memoryUsage();
    assert.throws(() => openTorchWeights(path), (error) => {
      assert.ok(error instanceof CheckpointError, `${name}: ${error}`);
      assert.ok(error.message.startsWith(`${path} cannot be read as PyTorch's weights: `), error.message);
      assert.ok(error.message.includes(reason), `${name}: ${error.message}`);
      assert.match(error.message.slice(path.length), /^.{1,250}$/);
      return true;
    }, name);
    const grown = Deno.memoryUsage().external - before.external;
    assert.ok(grown < 40e6, `${name}: ${grown} bytes`);
  }
});

Deno.test("none of it was executed", () => {
  assert.deepEqual([...Deno.readDirSync(files.path)].filter(({ name }) => name === "was_run"), []);
});

Deno.test("a file that is cut while it is open is an error, not zeros", () => {
  const path = `${files.path}/cut_while_open.bin`;
  Deno.copyFileSync(`${files.path}/many_legacy.bin`, path);
  using file = openTorchWeights(path);
  Deno.truncateSync(path, Deno.statSync(path).size - 1000);
  assert.throws(() => {
    for (const [name, { byteLength }] of file.tensors) file.readInto(name, new Uint8Array(byteLength));
  }, /is truncated: it ends at byte \d+, \d+ too soon$/);
});

Deno.test("any cut of a file is refused", () => {
  const path = `${files.path}/cut.bin`;
  for (const name of ["module.bin", "legacy2.bin"]) {
    const bytes = Deno.readFileSync(`${files.path}/${name}`);
    for (let length = 0; length < bytes.length; length += 13) {
      Deno.writeFileSync(path, bytes.subarray(0, length));
      assert.throws(() => openTorchWeights(path), CheckpointError, `${name} cut at ${length}`);
    }
  }
});

Deno.test("what is no file at all is refused in one line", () => {
  assert.throws(() => openTorchWeights("/nowhere/x"), new CheckpointError("/nowhere/x does not exist"));
  assert.throws(() => openTorchWeights("/"), new CheckpointError("/ is not a file"));
});
