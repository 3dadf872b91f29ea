// Tensor references and what is known of a tensor without reading it.
#include "boundary.h"

void ft_tensors_free(const int64_t* handles, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    auto* impl = reinterpret_cast<c10::TensorImpl*>(handles[i]);
    c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim(impl);
  }
}

int32_t ft_tensor_describe(const int64_t* handle, int64_t* out) {
  return fewtune::guarded([&] {
    const at::Tensor tensor = fewtune::borrow_tensor(*handle);
    *out++ = static_cast<int64_t>(tensor.scalar_type());
    *out++ = static_cast<int64_t>(tensor.device().type());
    *out++ = tensor.device().index();
    *out++ = tensor.requires_grad();
    *out++ = tensor.is_leaf();
    const bool is_strided = tensor.layout() == c10::kStrided;
    *out++ = is_strided ? static_cast<int64_t>(tensor.nbytes()) : 0;
    *out++ = is_strided ? reinterpret_cast<int64_t>(tensor.data_ptr()) : 0;
    *out++ = is_strided && tensor.is_contiguous();
    *out++ = tensor.is_sparse();
    *out++ = tensor.dim();
    for (int64_t size : tensor.sizes()) *out++ = size;
  });
}
