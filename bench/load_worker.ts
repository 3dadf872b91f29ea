// Loads a checkpoint once in a process of its own, and prints the seconds and by how much its memory grew.

import { cpuUsage } from "node:process";
import { type DType, initialize, loadClassifier, threads } from "../mod.ts";
import type { MeasuredLoad } from "./results.ts";

function resident(field: "VmRSS" | "VmHWM"): number {
  const status = Deno.readTextFileSync("/proc/self/status");
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
}

function cpuSeconds(): number {
  const { user, system } = cpuUsage();
  return (user + system) / 1e6;
}

if (import.meta.main) {
  const [folder = "", dtype = ""] = Deno.args;
  await initialize();
  threads(2);
  const [resting, worked, started] = [resident("VmRSS"), cpuSeconds(), performance.now()];
  using classifier = await loadClassifier(folder, { dtype: dtype as DType });
  const seconds = (performance.now() - started) / 1000;
  if (classifier.newKeys.length > 0) throw new Error(`${folder} lacks ${classifier.newKeys}`);
  const measured: MeasuredLoad = {
    seconds,
    cpuSeconds: cpuSeconds() - worked,
    peakBytes: resident("VmHWM") - resting,
  };
  console.log(JSON.stringify(measured));
}
