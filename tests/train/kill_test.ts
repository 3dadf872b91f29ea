// kill -9 at any moment of a run, most often while it writes a checkpoint: it goes on every time, and ends with the same
// bits.

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { SeededRandom } from "../../src/data/prng.ts";
import { checkpointsIn } from "../../src/train/checkpoint.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runToBeKilled } from "./killed_run.ts";

const program = fileURLToPath(new URL("killed_run.ts", import.meta.url));
const kills = 50;

/** What a process said until it ended or was killed. */
interface Life {
  readonly lines: readonly string[];
  readonly stderr: string;
  readonly isKilled: boolean;
}

/** Starts the run in `folder`, and kills it some while after its `steps`th step. */
async function live(folder: string, steps: number, random: SeededRandom): Promise<Life> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "-A", "--no-check", program, folder],
    stdout: "piped",
    stderr: "piped",
    env: { OMP_NUM_THREADS: "1" },
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const lines: string[] = [];
  let [left, stepEnd, writing] = [steps, 0, 50];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onLine = (line: string): void => {
    lines.push(line);
    if (line.startsWith("step ")) {
      stepEnd = performance.now();
      // About as long as a checkpoint took so far, and a little more.
      if (--left === 0) timer = setTimeout(() => killOf(child), 1.3 * writing * random.below(1000) / 1000);
    } else if (line.startsWith("checkpoint ")) writing = performance.now() - stepEnd;
  };
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split("\n");
    rest = parts.pop() ?? "";
    parts.forEach(onLine);
  }
  const { signal, code } = await child.status;
  clearTimeout(timer);
  assert.ok(signal === "SIGKILL" || code === 0, await stderr);
  return { lines, stderr: await stderr, isKilled: signal === "SIGKILL" };
}

function killOf(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    // It has just ended by itself.
    if (!(error instanceof TypeError)) throw error;
  }
}

function last(lines: readonly string[], word: string): number {
  return Number(lines.findLast((line) => line.startsWith(`${word} `))?.split(" ")[1] ?? 0);
}

function hasPartial(folder: string): boolean {
  return [...Deno.readDirSync(folder)].some(({ name }) => name.endsWith(".partial"));
}

/** Kills runs and lets them go on until `quota` of them were killed and the last is done. */
async function killAndResume(quota: number, expected: string, random: SeededRandom): Promise<number> {
  let [killed, whileWriting] = [0, 0];
  while (killed < quota) {
    using temporary = temporaryFolder();
    for (let saved = 0;;) {
      const isSpared = killed >= quota;
      const { lines, stderr, isKilled } = await live(temporary.path, isSpared ? Infinity : 1 + random.below(4), random);
      assert.equal(stderr, "");
      assert.ok(lines.length === 0 || last(lines, "resume") >= saved, `${lines[0]} and not from ${saved}`);
      saved = Math.max(saved, last(lines, "checkpoint"));
      assert.ok((checkpointsIn(temporary.path).at(-1)?.step ?? 0) >= saved, `a checkpoint after ${saved} was lost`);
      if (!isKilled) {
        assert.equal(lines.at(-1), expected);
        assert.ok(!hasPartial(temporary.path), "something half-written is left");
        break;
      }
      killed++;
      if (hasPartial(temporary.path)) whileWriting++;
    }
  }
  return whileWriting;
}

Deno.test("killed at 50 random moments, it goes on each time and ends with the same bits", async () => {
  const seed = Date.now();
  let expected = "";
  await runToBeKilled(null, (line) => expected = line);
  assert.match(expected, /^weights [0-9a-f]{64}$/);
  try {
    const halves = [seed, seed + 1].map((each) => killAndResume(kills / 2, expected, new SeededRandom(each)));
    const whileWriting = (await Promise.all(halves)).reduce((sum, each) => sum + each, 0);
    assert.ok(whileWriting >= 5, `${whileWriting} of ${kills} were killed while writing a checkpoint`);
  } catch (error) {
    throw new Error(`with the moments of seed ${seed}: ${error}`, { cause: error });
  }
});
