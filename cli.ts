// The command-line tool `fewtune`; its commands are in src/cli.

import { runProgram } from "./src/cli/program.ts";

if (import.meta.main) Deno.exit(await runProgram(Deno.args));
