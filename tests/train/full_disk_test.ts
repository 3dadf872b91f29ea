// A disk that is full, or a file that may not grow: checkpoints fail in one line each, the old one stays, training goes on.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../native/fakes.ts";
import { runToBeKilled } from "./killed_run.ts";

const program = fileURLToPath(new URL("killed_run.ts", import.meta.url));

/** Runs a shell command, in which `run` stands for the training run. */
async function shell(command: string, by: readonly string[] = ["sh", "-c"]): Promise<Deno.CommandOutput> {
  const run = `'${Deno.execPath()}' run --quiet -A --no-check --no-code-cache '${program}'`;
  const [name = "", ...args] = [...by, command.replaceAll("RUN", run)];
  return await new Deno.Command(name, { args, env: { OMP_NUM_THREADS: "1" } }).output();
}

const mounting = ["unshare", "--map-root-user", "--mount", "sh", "-c"];

// Not everywhere may a user mount something in a namespace of his own.
async function canMount(): Promise<boolean> {
  try {
    return (await shell("mount -t tmpfs -o size=64k none /mnt", mounting)).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

// A checkpoint takes 5.2 MiB, 3.5 of them in trainer.safetensors; there are two at the start.
const cases = [
  {
    name: "a file that may not grow beyond 2.5 MiB",
    by: ["sh", "-c"],
    command: (folder: string) => `trap '' XFSZ; ulimit -f 5120; RUN ${folder} && echo is there: $(ls -A ${folder})`,
    reason: /File too large/,
    ignore: false,
  },
  {
    name: "a disk of 13 MiB that is full",
    by: mounting,
    command: (folder: string) =>
      `mount -t tmpfs -o size=13m none /mnt && cp -r ${folder}/. /mnt && RUN /mnt && echo is there: $(ls -A /mnt)`,
    reason: /No space left on device/,
    ignore: !await canMount(),
  },
];

for (const { name, by, command, reason, ignore } of cases) {
  Deno.test({
    name: `the old checkpoint stays, nothing half-written is left, and training goes on: ${name}`,
    ignore,
    fn: async () => {
      using temporary = temporaryFolder();
      let whole = "";
      await runToBeKilled(null, (line) => whole = line);
      await runToBeKilled(temporary.path, () => {}, 2);
      const { code, stdout, stderr } = await shell(command(temporary.path), by);
      const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
      assert.deepEqual([code, new TextDecoder().decode(stderr)], [0, ""]);
      assert.deepEqual(lines.slice(-2), [whole, "is there: step-1 step-2"]);
      assert.equal(lines[0], "resume 2");
      const notices = lines.filter((line) => line.startsWith("notice"));
      assert.equal(notices.length, 58);
      for (const [index, notice] of notices.entries()) {
        assert.match(
          notice,
          new RegExp(`no checkpoint after step ${index + 3}, training goes on: .* cannot be written`),
        );
        assert.match(notice, reason);
        assert.doesNotMatch(notice, /partial/);
      }
    },
  });
}
