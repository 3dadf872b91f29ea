// Safetensors files: read as Python wrote them, written as Python writes them, and refused when Python refuses them.
import assert from "node:assert/strict";
import { CheckpointError } from "../../src/errors.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import type { SafetensorsDtype } from "../../src/files/safetensors_header.ts";
import { writeSafetensors } from "../../src/files/safetensors_write.ts";
import { SeededRandom } from "../../src/data/prng.ts";

const fixtures = new URL("../fixtures/", import.meta.url);
const referencePath = new URL("reference.safetensors", fixtures).pathname;

interface Described {
  dtype: SafetensorsDtype;
  shape: number[];
  hex: string;
}

interface Verdict {
  case: string;
  base64: string;
  tensors: Record<string, [string, number[]]> | null;
}

const reference: Record<string, Described> = readJson("safetensors_reference.json");

function readJson<Value>(name: string): Value {
  return JSON.parse(Deno.readTextFileSync(new URL(name, fixtures)));
}

function inTemporaryFolder(test: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** What opening the bytes as a file gives: the tensors, or the error's message. */
function verdictOn(path: string, bytes: Uint8Array): Verdict["tensors"] | string {
  Deno.writeFileSync(path, bytes);
  try {
    using file = openSafetensors(path);
    return Object.fromEntries([...file.tensors].map(([name, { dtype, shape }]) => [name, [dtype, [...shape]]]));
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    return error.message;
  }
}

function framed(header: string, data: Uint8Array): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(data, 8 + text.length);
  return bytes;
}

Deno.test("a file that Python wrote has the same tensors, to the byte", () => {
  using file = openSafetensors(referencePath);
  assert.deepEqual(file.metadata, { format: "pt" });
  assert.deepEqual([...file.tensors.keys()].sort(), Object.keys(reference).sort());
  for (const [name, expected] of Object.entries(reference)) {
    const entry = file.tensors.get(name);
    assert.equal(entry?.dtype, expected.dtype);
    assert.deepEqual(entry?.shape, expected.shape);
    const bytes = new Uint8Array(entry?.byteLength ?? 0);
    file.readInto(name, bytes);
    assert.equal(bytes.toHex(), expected.hex, name);
  }
});

Deno.test("any part of a tensor can be read, and nothing outside it", () => {
  using file = openSafetensors(referencePath);
  const part = new Uint8Array(4);
  file.readInto("12", part, 8);
  assert.equal(new DataView(part.buffer).getFloat32(0, true), 2);
  assert.throws(() => file.readInto("12", part, 13), RangeError);
  assert.throws(() => file.readInto("12", part, -1), RangeError);
  assert.throws(() => file.readInto("12", part, NaN), RangeError);
  assert.throws(() => file.readInto("13", part), CheckpointError);
});

Deno.test("writing gives the bytes that Python writes", () => {
  inTemporaryFolder((folder) => {
    const path = `${folder}/model.safetensors`;
    const entries = Object.entries(reference).map(([name, { dtype, shape, hex }]) => ({
      name,
      dtype,
      shape,
      bytes: () => Uint8Array.fromHex(hex),
    }));
    writeSafetensors(path, entries.toReversed(), { format: "pt" });
    assert.deepEqual(Deno.readFileSync(path), Deno.readFileSync(referencePath));
    assert.match(Deno.readTextFileSync(referencePath), /}} +/, "the reference should need padding");
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["model.safetensors"]);
  });
});

Deno.test("damaged files are refused exactly when Python refuses them", () => {
  const stricter = new Map([["space before the header", "its header does not begin with {"]]);
  const verdicts: Verdict[] = readJson("safetensors_verdicts.json");
  assert.ok(verdicts.length > 400);
  inTemporaryFolder((folder) => {
    for (const { case: name, base64, tensors } of verdicts) {
      const verdict = verdictOn(`${folder}/file`, Uint8Array.fromBase64(base64));
      if (tensors === null || stricter.has(name)) {
        assert.equal(typeof verdict, "string", `${name} was accepted`);
        assert.match(String(verdict), new RegExp(`^${folder}/file is .*${stricter.get(name) ?? ""}$`), name);
      } else {
        assert.deepEqual(verdict, tensors, name);
      }
    }
  });
});

Deno.test("what is wrong is said", () => {
  const reasons = new Map([
    ["truncated data", /has \d+ bytes where its header describes \d+ \(is it truncated\?\)$/],
    ["data too long", /has \d+ bytes where its header describes \d+/],
    ["header beyond the file", /its header claims 10000 bytes, the file has \d+ in all$/],
    ["huge header length", /its header claims 9223372036854775808 bytes, the file has \d+ in all$/],
    ["seven bytes", /is truncated: it ends at byte 7, 1 too soon$/],
    ["not JSON", /its header is not JSON$/],
    ["overlap", /the data of tensor "b" overlaps another tensor's$/],
    ["hole in the middle", /there is a hole in the data before tensor "b"$/],
    ["unknown dtype", /tensor "a" has the dtype "F33", known are BOOL,/],
    ["dtype that every object has", /tensor "a" has the dtype "constructor", known are BOOL,/],
    ["two negatives", /tensor "a" has the impossible shape \[-1,-2\]$/],
    ["overflowing shape", /tensor "a" has the impossible shape \[4294967296,/],
    ["shape of another size", /tensor "a" has 8 bytes of data where F32 of shape \[3\] needs 12$/],
    ["backwards offsets", /tensor "a" has -8 bytes of data/],
    ["negative offset", /tensor "a" has the impossible data_offsets \[-8,0\]$/],
  ]);
  const verdicts: Verdict[] = readJson("safetensors_verdicts.json");
  inTemporaryFolder((folder) => {
    for (const [name, reason] of reasons) {
      const { base64 = "" } = verdicts.find((verdict) => verdict.case === name) ?? {};
      assert.match(String(verdictOn(`${folder}/file`, Uint8Array.fromBase64(base64))), reason, name);
    }
  });
});

Deno.test("a header that claims more than the format allows is not read", () => {
  inTemporaryFolder((folder) => {
    const path = `${folder}/file`;
    Deno.writeFileSync(path, framed("{}", new Uint8Array(0)));
    Deno.truncateSync(path, 200_000_000);
    using file = Deno.openSync(path, { write: true });
    file.writeSync(new Uint8Array(BigUint64Array.of(100_000_001n).buffer));
    assert.throws(() => openSafetensors(path), /claims 100000001 bytes, at most 100000000 can be$/);
  });
});

Deno.test("a key given twice is refused, at the top and inside, however it is spelled", () => {
  const entry = '{"dtype":"U8","shape":[1],"data_offsets":[0,1]}';
  const headers = [
    `{"a":${entry},"a":${entry}}`,
    `{"a":${entry},"\\u0061" : ${entry}}`,
    `{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`,
  ];
  inTemporaryFolder((folder) => {
    for (const header of headers) {
      assert.match(String(verdictOn(`${folder}/file`, framed(header, new Uint8Array(1)))), /has the key "\w+" twice$/);
    }
    const equalText = '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"b":"a","c":"\\"a\\":"}}';
    assert.deepEqual(verdictOn(`${folder}/file`, framed(equalText, new Uint8Array(1))), { a: ["U8", [1]] });
  });
});

Deno.test("no mutation of a header does anything but open or throw CheckpointError", () => {
  const sound = Deno.readFileSync(referencePath);
  const headerBytes = Number(new DataView(sound.buffer).getBigUint64(0, true));
  const alphabet = new TextEncoder().encode('0123456789{}[]",:-.\\eE ');
  const random = new SeededRandom(7);
  let refused = 0;
  inTemporaryFolder((folder) => {
    for (let round = 0; round < 3000; round++) {
      const bytes = sound.slice();
      for (let edits = 1 + random.below(3); edits > 0; edits--) {
        const at = random.below(8 + headerBytes);
        bytes[at] = random.below(2) === 0 ? random.below(256) : alphabet[random.below(alphabet.length)] ?? 0;
      }
      const cut = random.below(10) === 0 ? random.below(bytes.length) : bytes.length;
      const verdict = verdictOn(`${folder}/file`, bytes.subarray(0, cut));
      if (typeof verdict !== "string") continue;
      refused++;
      assert.doesNotMatch(verdict, /[\n\r]/);
    }
  });
  assert.ok(refused > 1000 && refused < 3000, `${refused} of 3000 were refused`);
});

Deno.test("what is no file at all is refused in one line", () => {
  assert.throws(() => openSafetensors("/nowhere/x"), new CheckpointError("/nowhere/x does not exist"));
  assert.throws(() => openSafetensors("/"), new CheckpointError("/ is not a file"));
  assert.throws(() => openSafetensors("/dev/zero"), new CheckpointError("/dev/zero is not a file"));
});

Deno.test("a file that is cut while it is open is an error, not zeros", () => {
  inTemporaryFolder((folder) => {
    const path = `${folder}/file`;
    Deno.copyFileSync(referencePath, path);
    using file = openSafetensors(path);
    Deno.truncateSync(path, (file.tensors.get("12")?.byteOffset ?? 0) + 6);
    assert.throws(() => file.readInto("12", new Uint8Array(16)), /is truncated: it ends at byte \d+, 10 too soon$/);
  });
});

Deno.test("a writer that fails leaves the old file and no other", () => {
  inTemporaryFolder((folder) => {
    const path = `${folder}/model.safetensors`;
    const sound = { name: "a", dtype: "F32", shape: [2], bytes: () => new Uint8Array(8) } as const;
    const broken = (): never => {
      throw new Error("no such tensor");
    };
    writeSafetensors(path, [sound]);
    const before = Deno.readFileSync(path);
    assert.throws(() => writeSafetensors(path, [sound, { ...sound, name: "b", bytes: broken }]), /no such tensor/);
    assert.throws(() => writeSafetensors(path, [{ ...sound, shape: [3] }]), CheckpointError);
    assert.throws(() => writeSafetensors(path, [{ ...sound, shape: [-2] }]), CheckpointError);
    assert.throws(() => writeSafetensors(path, [sound, sound]), /two tensors named "a"$/);
    assert.throws(() => writeSafetensors(path, [{ ...sound, name: "__metadata__" }]), CheckpointError);
    assert.deepEqual(Deno.readFileSync(path), before);
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name), ["model.safetensors"]);
    assert.throws(() => writeSafetensors(`${folder}/none/x`, [sound]), /none\/x cannot be written: No such file/);
    Deno.mkdirSync(`${folder}/taken`);
    assert.throws(() => writeSafetensors(`${folder}/taken`, [sound]), /taken cannot be written: Is a directory/);
    assert.deepEqual([...Deno.readDirSync(folder)].map((entry) => entry.name).sort(), ["model.safetensors", "taken"]);
  });
});
