// Reads a tensor of a file of weights into a parameter's memory.

import { CheckpointError } from "../errors.ts";
import { copy_, type DType, dtypeBytes, empty, narrow, noGrad, scope, type Tensor, view, zero_ } from "../torch/mod.ts";
import type { SafetensorsDtype } from "../files/safetensors_header.ts";
import { list, plainly, show } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";

const dtypes: Readonly<Partial<Record<SafetensorsDtype, DType>>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
};

// Small enough to be in a cache when it is converted, large enough that the threads seldom wait for each other.
const chunkBytes = 1 << 21;

/**
 * Fills a parameter: straight into its own memory where the types agree, else by way of a chunk that is converted.
 *
 * @throws {CheckpointError} when the tensor is of a type that no parameter can have
 */
export function readParameter(file: WeightsFile, name: string, parameter: Tensor): void {
  const stored = file.tensors.get(name)?.dtype ?? "F32";
  const dtype = dtypes[stored];
  if (dtype === undefined) {
    throw new CheckpointError(`${file.path}: ${plainly(name)} is of type ${stored}, a parameter has to be a float`);
  }
  if (dtype === parameter.dtype && parameter.device === "cpu") {
    // What takes time is memory's first use, which LibTorch spreads over all threads.
    noGrad(() => zero_(parameter).dispose());
    file.readInto(name, parameter.bytes());
  } else readConverted(file, name, parameter, dtype);
}

function readConverted(file: WeightsFile, name: string, parameter: Tensor, dtype: DType): void {
  const step = Math.min(chunkBytes / dtypeBytes(dtype), parameter.size);
  noGrad(() =>
    scope(() => {
      const [chunk, flat] = [empty([step], { dtype }), view(parameter, [-1])];
      for (let from = 0; from < parameter.size; from += step) {
        scope(() => {
          const part = narrow(chunk, 0, 0, Math.min(step, parameter.size - from));
          file.readInto(name, part.bytes(), from * dtypeBytes(dtype));
          copy_(narrow(flat, 0, from, part.size), part);
        });
      }
    })
  );
}

/**
 * Checks that the tensors which parameters are read from (key to name in the file) have the parameters' shapes.
 *
 * @param fitted what says the shapes, in the error
 * @throws {CheckpointError} when one differs, with its name and both shapes
 */
export function checkShapes(
  file: WeightsFile,
  sources: ReadonlyMap<string, string>,
  parameters: ReadonlyMap<string, Pick<Tensor, "shape">>,
  fitted = "its config.json",
): void {
  const misfits = [...sources].flatMap(([key, name]) => {
    const [found, wanted] = [file.tensors.get(name)?.shape ?? [], parameters.get(key)?.shape ?? []];
    if (found.join() === wanted.join()) return [];
    return [`${plainly(name)} is ${show(found)} and not ${show(wanted)}`];
  });
  if (misfits.length > 0) throw new CheckpointError(`${file.path} does not fit ${fitted}: ${list(misfits)}`);
}
