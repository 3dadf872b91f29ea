// Runs the scripts in tests/reference with the Python that has PyTorch, transformers and the others to compare with.

const reference = new URL("../reference/", import.meta.url).pathname;

/** The interpreter; `deno task test` makes its environment. */
export function testPython(): string {
  const python = Deno.env.get("FEWTUNE_TEST_PYTHON");
  if (python) return python;
  throw new Error("FEWTUNE_TEST_PYTHON is not set: run the tests by `deno task test`, which makes the environment");
}

/** What a script prints. Throws with what it said when it fails; it has to be done after ten minutes. */
export async function runPython(script: string, args: readonly string[] = [], stdin = ""): Promise<string> {
  const process = new Deno.Command(testPython(), {
    args: [reference + script, ...args],
    env: { HF_HUB_OFFLINE: "1", TOKENIZERS_PARALLELISM: "false" },
    ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    signal: AbortSignal.timeout(600_000),
  }).spawn();
  const writer = process.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { code, stdout, stderr } = await process.output();
  const [said, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code !== 0) throw new Error(`${script} ended with ${code}:\n${complained}`);
  return said ?? "";
}
