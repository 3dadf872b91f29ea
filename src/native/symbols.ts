// The shim's C functions as one typed table; native/fewtune.h says what each does.

export const symbols = {
  ft_build_stamp: { parameters: [], result: "pointer" },
  ft_last_error: { parameters: [], result: "pointer" },
  ft_keep_warnings: { parameters: [], result: "void" },
  ft_take_warnings: { parameters: [], result: "pointer" },
  ft_open_library: { parameters: ["buffer"], result: "i32" },
  ft_operator_find: { parameters: ["buffer", "buffer"], result: "pointer" },
  ft_operator_schema: { parameters: ["pointer"], result: "pointer" },
  ft_operator_call: { parameters: ["pointer", "buffer", "buffer", "i32"], result: "i32" },
  ft_tensors_free: { parameters: ["buffer", "i32"], result: "void" },
  ft_tensor_describe: { parameters: ["buffer", "buffer"], result: "i32" },
  ft_grad_mode: { parameters: ["i32"], result: "i32" },
  ft_tensor_grad: { parameters: ["buffer", "buffer"], result: "i32" },
  ft_tensor_set_grad: { parameters: ["buffer"], result: "i32" },
  ft_hook_zero_grad_at: { parameters: ["buffer"], result: "i32" },
  ft_memory_cpu: { parameters: ["buffer"], result: "void" },
  ft_memory_cpu_reset_peak: { parameters: [], result: "void" },
  ft_memory_cpu_release: { parameters: [], result: "void" },
  ft_memory_device: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  ft_memory_device_reset_peak: { parameters: ["i32", "i32"], result: "i32" },
  ft_cuda_device_count: { parameters: ["buffer"], result: "i32" },
  ft_synchronize: { parameters: ["i32", "i32"], result: "i32" },
  ft_cpu_has_bf16: { parameters: [], result: "i32" },
  ft_threads: { parameters: ["i32"], result: "i32" },
  ft_generator_new: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  ft_generator_free: { parameters: ["buffer"], result: "void" },
  ft_generator_seed: { parameters: ["buffer"], result: "i32" },
  ft_generator_state: { parameters: ["buffer", "buffer"], result: "i32" },
  ft_generator_set_state: { parameters: ["buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** The shim's functions, ready to call. */
export type Shim = Deno.DynamicLibrary<typeof symbols>["symbols"];
