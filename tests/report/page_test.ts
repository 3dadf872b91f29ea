// A report in a real browser: drawn, quiet, alone with itself, and no wider than a phone.

import assert from "node:assert/strict";
import { join } from "node:path";
import type { Browser, Page } from "npm:puppeteer-core@25.16.0";
import { reportPage } from "../../src/report/page.ts";
import { readRuns } from "../../src/report/run.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { startBrowser } from "../support/browser.ts";
import { lossAt, writeRun } from "./run_folder.ts";

const hostile = `<script>window.hacked = 1`;
const config = {
  model: "minilm",
  method: "selective",
  k: 16,
  seed: 1,
  columns: { label: `"></td>${hostile}</script>` },
};

interface Opened extends AsyncDisposable {
  readonly page: Page;
  /** What the page said or asked for, which has to be nothing. */
  readonly complaints: readonly string[];
}

async function open(browser: Browser, html: string, width: number, scheme = "light"): Promise<Opened> {
  const temporary = temporaryFolder();
  const path = join(temporary.path, "report.html");
  Deno.writeTextFileSync(path, html);
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on("console", (message) => complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => request.url() === `file://${path}` || complaints.push(request.url()));
  await page.setViewport({ width, height: 844 });
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  await page.goto(`file://${path}`);
  await page.waitForFunction(
    "document.querySelectorAll('figure svg').length === document.querySelectorAll('figure').length",
  );
  return {
    ...{ page, complaints },
    async [Symbol.asyncDispose](): Promise<void> {
      await page.close();
      temporary[Symbol.dispose]();
    },
  };
}

interface Drawn {
  readonly title: string;
  /** How long the lines are, in pixels. */
  readonly lines: readonly number[];
  readonly points: number;
}

/** What is drawn in each chart. */
function drawn(page: Page): Promise<Drawn[]> {
  return page.evaluate(`[...document.querySelectorAll("figure")].map((figure) => ({
    title: figure.querySelector("figcaption").firstChild.textContent,
    lines: [...figure.querySelectorAll(".mark-line path")].map((path) => path.getTotalLength()),
    points: figure.querySelectorAll(".mark-symbol path").length,
  }))`) as Promise<Drawn[]>;
}

function style(page: Page, selector: string, property: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector("${selector}")).${property}`) as Promise<string>;
}

Deno.test("a report is drawn in a browser, says nothing, asks for nothing, and fits on a phone", async (t) => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  const result = { isStopped: false, dev: { accuracy: 0.75 }, test: { accuracy: 0.5 }, trainableParameters: 1234567 };
  writeRun(at("long"), { steps: 4000, evalSteps: 400, config, result });
  writeRun(at("no dev"), { steps: 50, totalSteps: 90, config: { ...config, seed: 2 } });
  writeRun(at(hostile), { steps: 20, evalSteps: 10, config: { ...config, k: `</script>${hostile}` }, result });
  writeRun(at("one step"), { steps: 1 });
  const several = await reportPage(readRuns(["long", "no dev", hostile].map(at)));
  const single = await reportPage(readRuns([at("one step")]));
  await using browser = await startBrowser();

  await t.step("every chart has its lines, and no text of a run is taken for HTML", async () => {
    await using opened = await open(browser, several, 1280);
    const { page, complaints } = opened;
    const lines = (await drawn(page)).map(({ title, lines }) => [title, lines.filter((pixels) => pixels > 0).length]);
    assert.deepEqual(Object.fromEntries(lines), {
      ...{ "Training loss": 6, "Dev loss": 2, "Dev accuracy": 2, Memory: 6 },
      ...{ "Learning rate": 3, "Gradient norm": 6, Speed: 6 },
    });
    assert.equal(await page.evaluate("window.hacked"), undefined);
    const names = await page.$$eval("tbody th", (cells) => cells.map(({ textContent }) => textContent));
    assert.deepEqual(names.slice(0, 6), ["long", "no dev", hostile, "long", "no dev", hostile]);
    assert.match(await page.$eval("details", ({ textContent }) => textContent ?? ""), /columns\.label"><\/td><script>/);
    assert.deepEqual(complaints, []);
  });

  await t.step("at the pointer stand the values of every run, and the cursor is where they are", async () => {
    await using opened = await open(browser, single, 1280);
    const { page } = opened;
    const point = await page.$("figure .mark-symbol path").then((mark) => mark?.boundingBox());
    assert.ok(point);
    await page.mouse.move(point.x + 40, point.y);
    const text = await page.$eval("figure .values", ({ textContent }) => textContent);
    assert.equal(text, `step 1${lossAt(1).toPrecision(4)}`);
    const cursor = await page.$(".cursor").then((line) => line?.boundingBox());
    assert.ok(cursor && Math.abs(cursor.x - (point.x + point.width / 2)) < 1, `${cursor?.x} and ${point.x}`);
  });

  await t.step("on a phone nothing is wider than it, and its dark colours are taken", async () => {
    for (const html of [several, single]) {
      await using opened = await open(browser, html, 390, "dark");
      const { page, complaints } = opened;
      assert.deepEqual(await page.evaluate("[document.documentElement.scrollWidth, innerWidth]"), [390, 390]);
      assert.equal(await style(page, "body", "backgroundColor"), "rgb(20, 24, 29)");
      assert.equal(await style(page, ".mark-line path[stroke*='run-0']", "stroke"), "rgb(75, 163, 227)");
      assert.deepEqual(complaints, []);
    }
  });

  await t.step("a run of one step has its points", async () => {
    await using opened = await open(browser, single, 390);
    const points = (await drawn(opened.page)).map(({ title, points }) => [title, points]);
    const charts = ["Training loss", "Memory", "Learning rate", "Gradient norm", "Speed"];
    assert.deepEqual(points, charts.map((title) => [title, 1]));
  });
});
