// The shim's whole C ABI: LibTorch as seen from TypeScript.
//
// Values cross as 8-byte slots. A tensor or generator handle is a slot that owns one reference; 0 is "none".
// Functions that return int32_t give a status: 0 fine, 1 LibTorch refused, 2 out of memory. After 1 or 2
// ft_last_error() has the reason. No C++ exception ever leaves the shim. Errors, warnings and grad mode are the thread's.
#pragma once
#include <stdint.h>

#define FT_API extern "C" __attribute__((visibility("default")))

// Build and errors
FT_API const char* ft_build_stamp();  // "LibTorch version; ABI", as compiled in
FT_API const char* ft_last_error();
FT_API void ft_keep_warnings();  // from now on LibTorch's warnings on this thread are kept and not printed
FT_API const char* ft_take_warnings();  // those since the last call, one a line
FT_API int32_t ft_open_library(const char* path);  // dlopen, symbols visible to LibTorch: its CUDA half

// Operators, called by schema. Arguments are written one after the other:
//   int, bool, ScalarType, Layout, MemoryFormat: 1 slot      float: 1 slot (a double's bits)
//   Tensor, Generator: 1 slot (handle)                       Scalar: 2 slots (0 int, 1 float, 2 bool; value)
//   Device: 2 slots (type, index)                            str: byte count, then the bytes, padded to slots
//   T[]: element count, then the elements
// An argument with a default or an optional type has a slot before it: 0 its default, 1 a value follows, 2 None.
// Results are written the same way, without those slots.
FT_API void* ft_operator_find(const char* name, const char* overload);  // null: see ft_last_error
FT_API const char* ft_operator_schema(const void* op);
FT_API int32_t ft_operator_call(const void* op, const int64_t* arguments, int64_t* results, int32_t capacity);

// Tensors
FT_API void ft_tensors_free(const int64_t* handles, int32_t count);
// out: dtype, device type, device index, requires grad, is leaf, bytes, data pointer, contiguous, sparse, dimensions,
// sizes... A sparse tensor has no bytes and no pointer of its own.
FT_API int32_t ft_tensor_describe(const int64_t* handle, int64_t* out);

// Autograd
FT_API int32_t ft_grad_mode(int32_t enabled);  // returns what it was
FT_API int32_t ft_tensor_grad(const int64_t* handle, int64_t* out);
FT_API int32_t ft_tensor_set_grad(const int64_t* handle_and_grad);
FT_API int32_t ft_hook_zero_grad_at(const int64_t* handle_and_mask);  // gradient becomes 0 where the mask is true

// Memory
FT_API void ft_memory_cpu(int64_t* out);  // live bytes, peak bytes
FT_API void ft_memory_cpu_reset_peak();
FT_API void ft_memory_cpu_release();  // gives freed blocks back to the system
FT_API int32_t ft_memory_device(int32_t type, int32_t index, int64_t* out);  // allocated, its peak, reserved, its peak
FT_API int32_t ft_memory_device_reset_peak(int32_t type, int32_t index);

// Devices, threads, random generators
FT_API int32_t ft_cuda_device_count(int64_t* out);
FT_API int32_t ft_synchronize(int32_t type, int32_t index);
FT_API int32_t ft_cpu_has_bf16();  // whether the processor multiplies bfloat16 (AVX512-BF16, and so AMX)
FT_API int32_t ft_threads(int32_t count);  // 0: leave as it is; returns the number in use
FT_API int32_t ft_generator_new(int32_t type, int32_t index, int64_t* out);
FT_API void ft_generator_free(const int64_t* handle);
FT_API int32_t ft_generator_seed(const int64_t* handle_and_seed);
FT_API int32_t ft_generator_state(const int64_t* handle, int64_t* out);
FT_API int32_t ft_generator_set_state(const int64_t* handle_and_state);
