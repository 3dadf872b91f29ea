// Random generators whose state can be read and set back.

import { OptionError } from "../errors.ts";
import { check, shim } from "../native/load.ts";
import { input, output } from "../native/slots.ts";
import { type Device, deviceCode } from "./device.ts";
import { Tensor } from "./tensor.ts";
import { tensorFrom } from "./transfer.ts";

/** A LibTorch random generator (Mersenne twister on the CPU, Philox on CUDA). Dispose it when it is no longer needed. */
export class Generator implements Disposable {
  #handle: number;

  /** @param device where it draws; for `meta`, where nothing is drawn, it is one of the CPU */
  constructor(seed: number | bigint, device: Device = "cpu") {
    const [type, index] = deviceCode(device === "meta" ? "cpu" : device);
    check(shim().ft_generator_new(type, index, output.rewind().buffer), `making a random generator on ${device}`);
    this.#handle = output.readInteger();
    this.seed(seed);
  }

  /** The reference that the shim takes. */
  get handle(): number {
    if (this.#handle === 0) throw new OptionError("a random generator was used after it was disposed");
    return this.#handle;
  }

  /** Starts the sequence of `seed`, of which on the CPU the lowest 32 bits count. */
  seed(seed: number | bigint): void {
    input.rewind().writeInteger(this.handle);
    input.writeInteger(seed);
    check(shim().ft_generator_seed(input.buffer), "seeding a random generator");
  }

  /** All that the next numbers depend on, as bytes that {@linkcode Generator.setState} takes back. */
  state(): Uint8Array {
    input.rewind().writeInteger(this.handle);
    check(shim().ft_generator_state(input.buffer, output.rewind().buffer), "reading a random generator's state");
    using state = new Tensor(output.readInteger());
    return state.bytes().slice();
  }

  /** Goes back to a state that {@linkcode Generator.state} gave. */
  setState(bytes: Uint8Array): void {
    using state = tensorFrom(bytes);
    input.rewind().writeInteger(this.handle);
    input.writeInteger(state.handle);
    check(shim().ft_generator_set_state(input.buffer), "setting a random generator's state");
  }

  dispose(): void {
    if (this.#handle === 0) return;
    input.rewind().writeInteger(this.#handle);
    shim().ft_generator_free(input.buffer);
    this.#handle = 0;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
