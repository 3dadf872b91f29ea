// Everyone who takes part in the measurement of a training step: Fewtune's ways to train, and the peers.

import type { ActivationMode } from "../mod.ts";
import { type Lengths, lengthsOf } from "./lengths.ts";
import type { ModelSize } from "./model_sizes.ts";
import type { WorkerSettings } from "./step_worker.ts";
import { startStepper, type Stepper } from "./stepper.ts";

/** The work of a step, the same for all. */
export interface Work {
  readonly size: ModelSize;
  readonly batchSize: number;
  readonly lengths: Lengths;
  readonly k: number;
  readonly threads: number;
}

/** Of weights and activations in Python; by autocast in Fewtune. */
export type Precision = "float32" | "bf16";

interface Peer {
  readonly title: string;
  readonly precision: Precision;
  readonly script: string;
  readonly flags: readonly string[];
}

interface Own {
  readonly title: string;
  readonly precision: Precision;
  readonly method: WorkerSettings["method"];
  readonly activations: ActivationMode;
  readonly optimizerInBackward: boolean;
}

/** The peers' names. */
export type PeerName =
  | "hf_full"
  | "hf_checkpointing"
  | "hf_lora"
  | "hf_lora_checkpointing"
  | "hf_bitfit"
  | "torch_selective"
  | "torch_selective_lora"
  | "hf_full_bf16"
  | "torch_selective_bf16";

/** The names of Fewtune's ways. */
export type OwnName =
  | "full"
  | "store"
  | "recompute"
  | "in_backward"
  | "lora"
  | "lora_store"
  | "recompute_bf16"
  | "lora_bf16";

/** A name in a result. */
export type ContestantName = PeerName | OwnName;

const float32 = "float32";
const bf16 = "bf16";

const peers: Readonly<Record<PeerName, Peer>> = {
  hf_full: { title: "Hugging Face, full", precision: float32, script: "peer_full.py", flags: [] },
  hf_checkpointing: {
    title: "Hugging Face, gradient checkpointing",
    precision: float32,
    script: "peer_full.py",
    flags: ["--checkpointing"],
  },
  hf_lora: { title: "PEFT, LoRA", precision: float32, script: "peer_lora.py", flags: [] },
  hf_lora_checkpointing: {
    title: "PEFT, LoRA, gradient checkpointing",
    precision: float32,
    script: "peer_lora.py",
    flags: ["--checkpointing"],
  },
  hf_bitfit: { title: "Hugging Face, BitFit", precision: float32, script: "peer_bitfit.py", flags: [] },
  torch_selective: { title: "PyTorch, selective", precision: float32, script: "peer_selective.py", flags: [] },
  torch_selective_lora: {
    title: "PyTorch, selective + PEFT's LoRA",
    precision: float32,
    script: "peer_selective.py",
    flags: ["--lora"],
  },
  hf_full_bf16: {
    title: "Hugging Face, full, all in bf16",
    precision: bf16,
    script: "peer_full.py",
    flags: ["--dtype", "bf16"],
  },
  torch_selective_bf16: {
    title: "PyTorch, selective, all in bf16",
    precision: bf16,
    script: "peer_selective.py",
    flags: ["--dtype", "bf16"],
  },
};

const stored = { precision: float32, method: "selective", activations: "store", optimizerInBackward: false } as const;
const recomputed = { ...stored, activations: "recompute" } as const;

const own: Readonly<Record<OwnName, Own>> = {
  full: { ...stored, title: "Fewtune, full", method: "full" },
  store: { ...stored, title: "Fewtune, selective, stored" },
  recompute: { ...recomputed, title: "Fewtune, selective, recomputed" },
  in_backward: { ...recomputed, title: "The same, optimizer in backward", optimizerInBackward: true },
  lora: { ...recomputed, title: "Fewtune, selective + LoRA, recomputed", method: "selective+lora" },
  lora_store: { ...stored, title: "Fewtune, selective + LoRA, stored", method: "selective+lora" },
  recompute_bf16: { ...recomputed, title: "Fewtune, selective, recomputed, bf16", precision: bf16 },
  lora_bf16: {
    ...recomputed,
    title: "Fewtune, selective + LoRA, recomputed, bf16",
    method: "selective+lora",
    precision: bf16,
  },
};

const names = [...Object.keys(peers), ...Object.keys(own)] as ContestantName[];

/** What a contestant is called in a table. */
export function titleOf(name: ContestantName): string {
  return isPeer(name) ? peers[name].title : own[name].title;
}

/** Those who take part: peers only where there is a Python, and those in bf16 only where they are asked for. */
export function contestants(options: { readonly peers: boolean; readonly bf16: boolean }): ContestantName[] {
  return names.filter((name) =>
    !isPeer(name) || (options.peers && (options.bf16 || peers[name].precision === float32))
  );
}

/** Sorted as they are listed here: the peers first. */
export function inOrder<Named extends { readonly name: ContestantName }>(some: readonly Named[]): Named[] {
  return some.toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
}

/** Names separated by commas, as given on the command line. Throws at one that nobody has. */
export function contestantNames(text: string): ContestantName[] {
  return text.split(",").map((each) => {
    const known = names.find((name) => name === each);
    if (known === undefined) throw new Error(`there is no contestant ${each}, only ${names.join(", ")}`);
    return known;
  });
}

/** Starts a contestant's process. */
export function start(name: ContestantName, work: Work, python: string | undefined): Stepper {
  if (!isPeer(name)) return startOwn(own[name], work);
  if (python === undefined) throw new Error(`${name} needs --python`);
  return startPeer(peers[name], work, python);
}

function isPeer(name: ContestantName): name is PeerName {
  return name in peers;
}

function startPeer({ script, flags }: Peer, { size, k, threads, ...work }: Work, python: string): Stepper {
  const settings = { ...size, k, threads, lengths: JSON.stringify(lengthsOf(work.lengths, work.batchSize)) };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  return startStepper(python, [new URL(script, import.meta.url).pathname, ...args, ...flags]);
}

function startOwn({ title: _, ...way }: Own, { size, k, threads, ...work }: Work): Stepper {
  const settings: WorkerSettings = { ...way, size, k, threads, lengths: lengthsOf(work.lengths, work.batchSize) };
  const worker = new URL("step_worker.ts", import.meta.url).pathname;
  return startStepper(Deno.execPath(), ["run", "-A", worker, JSON.stringify(settings)]);
}
