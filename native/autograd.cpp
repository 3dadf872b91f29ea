// What of autograd is no operator: grad mode, leaf gradients, and hooks that hold a mask.
#include <c10/core/GradMode.h>

#include "boundary.h"

int32_t ft_grad_mode(int32_t enabled) {
  const bool before = c10::GradMode::is_enabled();
  c10::GradMode::set_enabled(enabled != 0);
  return before;
}

int32_t ft_tensor_grad(const int64_t* handle, int64_t* out) {
  return fewtune::guarded([&] { *out = fewtune::release_tensor(fewtune::borrow_tensor(*handle).grad()); });
}

int32_t ft_tensor_set_grad(const int64_t* handle_and_grad) {
  return fewtune::guarded([&] {
    fewtune::borrow_tensor(handle_and_grad[0]).mutable_grad() = fewtune::borrow_tensor(handle_and_grad[1]);
  });
}

int32_t ft_hook_zero_grad_at(const int64_t* handle_and_mask) {
  return fewtune::guarded([&] {
    const at::Tensor mask = fewtune::borrow_tensor(handle_and_mask[1]);
    fewtune::borrow_tensor(handle_and_mask[0]).register_hook([mask](const at::Tensor& gradient) {
      return gradient.masked_fill(mask, 0.0);
    });
  });
}
