// Devices, threads and random generators.
#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <mutex>

#include "boundary.h"

namespace {

at::Generator new_generator(c10::Device device) {
  if (device.is_cpu()) return at::detail::createCPUGenerator();
  return at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index());
}

}  // namespace

int32_t ft_cuda_device_count(int64_t* out) {
  return fewtune::guarded([&] { *out = at::hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0; });
}

int32_t ft_synchronize(int32_t type, int32_t index) {
  return fewtune::guarded([&] {
    const c10::Device device = fewtune::device_of(type, index);
    if (device.is_cuda()) at::detail::getCUDAHooks().deviceSynchronize(device.index());
  });
}

int32_t ft_cpu_has_bf16() { return __builtin_cpu_supports("avx512bf16") ? 1 : 0; }

int32_t ft_threads(int32_t count) {
  if (count > 0) at::set_num_threads(count);
  return at::get_num_threads();
}

int32_t ft_generator_new(int32_t type, int32_t index, int64_t* out) {
  return fewtune::guarded([&] {
    *out = reinterpret_cast<int64_t>(new at::Generator(new_generator(fewtune::device_of(type, index))));
  });
}

void ft_generator_free(const int64_t* handle) { delete reinterpret_cast<at::Generator*>(*handle); }

int32_t ft_generator_seed(const int64_t* handle_and_seed) {
  return fewtune::guarded([&] {
    at::Generator generator = fewtune::borrow_generator(handle_and_seed[0]);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(handle_and_seed[1]));
  });
}

int32_t ft_generator_state(const int64_t* handle, int64_t* out) {
  return fewtune::guarded([&] {
    at::Generator generator = fewtune::borrow_generator(*handle);
    std::lock_guard<std::mutex> lock(generator.mutex());
    *out = fewtune::release_tensor(generator.get_state());
  });
}

int32_t ft_generator_set_state(const int64_t* handle_and_state) {
  return fewtune::guarded([&] {
    at::Generator generator = fewtune::borrow_generator(handle_and_state[0]);
    const at::Tensor state = fewtune::borrow_tensor(handle_and_state[1]);
    std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_state(state);
  });
}
