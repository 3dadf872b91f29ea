// A command line as a shell reads it, as far as the examples need.

/** Its words, up to where its input or output is redirected. */
export function shellWords(line: string): string[] {
  const [command = ""] = line.split(/ [<>]/);
  return [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
