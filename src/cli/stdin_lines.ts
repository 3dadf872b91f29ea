// Standard input as lines, in the groups in which they arrive: what was typed is answered at once.

import { DataError } from "../errors.ts";

/**
 * Yields the lines that have come in, up to `most` at a time. The last line may lack its line break.
 *
 * @throws {DataError} when the input is not UTF-8
 */
export async function* stdinLines(most: number): AsyncGenerator<string[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const bytes of Deno.stdin.readable) {
    const lines = (rest + decode(decoder, bytes)).split(/\r?\n/);
    rest = lines.pop() ?? "";
    for (let from = 0; from < lines.length; from += most) yield lines.slice(from, from + most);
  }
  rest += decode(decoder);
  if (rest !== "") yield [rest];
}

function decode(decoder: TextDecoder, bytes?: Uint8Array<ArrayBuffer>): string {
  try {
    return bytes ? decoder.decode(bytes, { stream: true }) : decoder.decode();
  } catch (cause) {
    throw new DataError("standard input is not UTF-8 text; convert it first", { cause });
  }
}
