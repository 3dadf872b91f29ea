// Runs the peers' scripts in a Python that has PyTorch.

/** What the peers are made of. */
export const peerPackages = ["torch", "transformers", "peft"];

/** The last line that a script beside this file prints, as JSON. Throws when it fails. */
export async function runScript<Answer>(python: string, script: string, args: readonly string[]): Promise<Answer> {
  const path = new URL(script, import.meta.url).pathname;
  const command = new Deno.Command(python, { args: [path, ...args], stdin: "null", stderr: "inherit" });
  const { success, code, stdout } = await command.output();
  if (!success) throw new Error(`${python} ${script} ended with exit code ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "null") as Answer;
}

/** The versions of the packages in a Python; those that it lacks are left out. */
export async function packageVersions(
  python: string,
  packages: readonly string[],
): Promise<Record<string, string>> {
  const question = "import importlib.metadata, json, sys\n" +
    "found = {d.name: d.version for d in importlib.metadata.distributions() if d.name in sys.argv[1:]}\n" +
    "print(json.dumps(found | {'python': sys.version.split()[0]}))";
  const { success, stdout } = await new Deno.Command(python, { args: ["-c", question, ...packages] }).output();
  if (!success) throw new Error(`${python} does not run`);
  return JSON.parse(new TextDecoder().decode(stdout)) as Record<string, string>;
}
