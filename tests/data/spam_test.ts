// The e-mails of the demo: how many there are, that no part shares a body with another, and what became of their text.
import assert from "node:assert/strict";
import { mailText, rawBody } from "../../src/experiments/mail_text.ts";
import { loadSpam } from "../../src/experiments/spam.ts";
import type { SetupEvent } from "../../src/native/progress.ts";

Deno.test("the corpus has 5,851 e-mails in three parts, the same on every machine, and is prepared once", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const events: SetupEvent[] = [];
    const { train, dev, test, labels, files } = await loadSpam(folder, (event) => events.push(event));
    assert.deepEqual([train, dev, test].map((part) => part.length), [4681, 585, 585]);
    assert.deepEqual([train, dev, test].map((part) => part.filter(({ label }) => label === 1).length), [
      1373,
      173,
      194,
    ]);
    assert.deepEqual(labels.names, ["ham", "spam"]);
    const digest = await crypto.subtle.digest("SHA-256", await Deno.readFile(files.test));
    assert.equal(new Uint8Array(digest).toHex().slice(0, 16), "5cd770a8bfa1abf0");
    assert.ok(events.some(({ detail }) => detail === "test: 585 e-mails"));
    const leaks = [...train, ...dev, ...test].filter(({ text }) => /^(Received|Return-Path|X-Spam-\w+):/m.test(text));
    assert.deepEqual(leaks, []);

    const again: SetupEvent[] = [];
    const before = (await Deno.stat(files.train)).mtime;
    const second = await loadSpam(folder, (event) => again.push(event));
    assert.deepEqual(second.test, test);
    assert.deepEqual((await Deno.stat(files.train)).mtime, before);
    assert.deepEqual(again, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("of an e-mail its subject and decoded body are kept, and no other header", async () => {
  const headers = "From x@example.org  Thu Aug 22 12:36:23 2002\nReceived: from secret\nX-Spam-Status: Yes\n";
  assert.equal(
    await mailText(`${headers}Subject: =?iso-8859-1?Q?Gr=FC=DFe?=\n\nHello\n  there.\n`),
    "Grüße Hello there.",
  );
  const quoted = `${headers}Content-Transfer-Encoding: quoted-printable\nSubject: A\n\nlong=\n line=21\n`;
  assert.equal(await mailText(quoted), "A long line!");
  const html =
    "Content-Type: text/html\nSubject: B\n\n<style>p {}</style><!-- no --><p>5 &lt; 6&nbsp;&#33; &euro;<br>R&D</p>";
  assert.equal(await mailText(html), "B 5 < 6 ! &euro; R&D");
  const alternative = [
    'Content-Type: multipart/alternative; boundary="x"',
    "Subject: C",
    "",
    "--x",
    "Content-Type: text/plain",
    "Content-Transfer-Encoding: base64",
    "",
    btoa("plain text"),
    "--x",
    "Content-Type: text/html",
    "",
    "<b>rich text</b>",
    "--x--",
  ].join("\n");
  assert.equal(await mailText(alternative), "C plain text");
  assert.equal(await mailText("Subject: D\n\n"), "D");
  assert.equal(await mailText('Content-Type: multipart/mixed; boundary="x"\nSubject: E\n\n--y\nlost'), "E --y lost");
});

Deno.test("the body begins after the first blank line", () => {
  assert.equal(rawBody("A: b\n\n one\n\ntwo \n"), "one\n\ntwo");
  assert.equal(rawBody("A: b\r\n\r\none\r\n"), "one");
  assert.equal(rawBody("A: b\n"), "");
});
