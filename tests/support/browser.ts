// A headless Chromium for the tests: its npm package carries it, with the libraries and fonts that it needs.

import "npm:@sparticuz/chromium@153.0.0";
import puppeteer, { type Browser } from "npm:puppeteer-core@25.16.0";
import { join } from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { writeFolder } from "../../src/files/output_folder.ts";

const carrier = "npm:@sparticuz/chromium@153.0.0";
const folder = new URL("../../.cache/chromium-153.0.0", import.meta.url).pathname;

/** Starts the browser; the first time it is unpacked into .cache, 220 MB. */
export async function startBrowser(): Promise<Browser> {
  if (!isFolder(folder)) writeFolder(folder, unpack);
  return await puppeteer.launch({
    executablePath: join(folder, "chromium"),
    headless: "shell",
    // The pages are our own, and a container's root may not make a sandbox.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
    env: {
      ...Deno.env.toObject(),
      LD_LIBRARY_PATH: join(folder, "al2023", "lib"),
      FONTCONFIG_PATH: join(folder, "fonts"),
    },
  });
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

function unpack(temporary: string): void {
  Deno.writeFileSync(join(temporary, "chromium"), packed("chromium.br"), { mode: 0o755 });
  for (const name of ["al2023", "fonts"]) {
    const archive = join(temporary, `${name}.tar`);
    Deno.mkdirSync(join(temporary, name));
    Deno.writeFileSync(archive, packed(`${name}.tar.br`));
    const { code, stderr } = new Deno.Command("tar", { args: ["-xf", archive, "-C", join(temporary, name)] })
      .outputSync();
    if (code !== 0) throw new Error(`tar ended with ${code}: ${new TextDecoder().decode(stderr)}`);
    Deno.removeSync(archive);
  }
}

function packed(name: string): Uint8Array {
  return brotliDecompressSync(Deno.readFileSync(new URL(`../bin/${name}`, import.meta.resolve(carrier))));
}
