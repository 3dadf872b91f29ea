// What the torch layer gives to the layers above it.

export * from "./autograd.ts";
export * from "./device.ts";
export * from "./dtype.ts";
export * from "./memory.ts";
export * from "./operator.ts";
export * from "./ops.ts";
export * from "./random.ts";
export * from "./scope.ts";
export * from "./tensor.ts";
export * from "./transfer.ts";
