// Dropout decided by a byte an element, in one pass over the data: fewtune::byte_dropout and its in-place form.
#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

double kept_scale(int64_t threshold) { return 256.0 / static_cast<double>(256 - threshold); }

template <typename scalar_t>
void drop_range(const scalar_t* from, scalar_t* to, const uint8_t* noise, int64_t count, int threshold, double scale) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = noise[i] < threshold ? scalar_t(0) : static_cast<scalar_t>(from[i] * scale);
  }
}

// The same loop compiled for wider vectors too; the loader picks what the processor has.
__attribute__((target_clones("avx512f", "avx2", "default"), optimize("O3"))) void drop_floats(
    const float* from, float* to, const uint8_t* noise, int64_t count, int threshold, float scale) {
  for (int64_t i = 0; i < count; ++i) {
    to[i] = noise[i] < threshold ? 0.0f : from[i] * scale;
  }
}

void drop_on_cpu(const at::Tensor& from, at::Tensor& to, const at::Tensor& noise, int64_t threshold) {
  const double scale = kept_scale(threshold);
  const auto* bytes = noise.const_data_ptr<uint8_t>();
  at::parallel_for(0, from.numel(), 1 << 15, [&](int64_t begin, int64_t end) {
    if (from.scalar_type() == at::kFloat) {
      drop_floats(from.const_data_ptr<float>() + begin, to.mutable_data_ptr<float>() + begin, bytes + begin,
                  end - begin, static_cast<int>(threshold), static_cast<float>(scale));
      return;
    }
    AT_DISPATCH_FLOATING_TYPES_AND2(at::kHalf, at::kBFloat16, from.scalar_type(), "byte_dropout", [&] {
      drop_range(from.const_data_ptr<scalar_t>() + begin, to.mutable_data_ptr<scalar_t>() + begin, bytes + begin,
                 end - begin, static_cast<int>(threshold), scale);
    });
  });
}

bool is_simple(const at::Tensor& input, const at::Tensor& noise) {
  return input.is_cpu() && input.is_contiguous() && noise.is_contiguous();
}

void check(const at::Tensor& input, const at::Tensor& noise, int64_t threshold) {
  TORCH_CHECK(noise.scalar_type() == at::kByte && noise.numel() == input.numel(),
              "byte_dropout needs a uint8 of noise for each of the ", input.numel(), " elements, got ", noise.numel(),
              " of type ", noise.scalar_type());
  TORCH_CHECK(threshold >= 0 && threshold < 256, "byte_dropout needs a threshold from 0 to 255, got ", threshold);
}

at::Tensor& byte_dropout_(at::Tensor& input, const at::Tensor& noise, int64_t threshold) {
  check(input, noise, threshold);
  if (is_simple(input, noise)) {
    drop_on_cpu(input, input, noise, threshold);
    return input;
  }
  return input.masked_fill_(noise.view(input.sizes()).lt(threshold), 0).mul_(kept_scale(threshold));
}

at::Tensor byte_dropout(const at::Tensor& input, const at::Tensor& noise, int64_t threshold) {
  check(input, noise, threshold);
  if (!is_simple(input, noise)) {
    return input.masked_fill(noise.view(input.sizes()).lt(threshold), 0).mul_(kept_scale(threshold));
  }
  at::Tensor output = at::empty_like(input);
  drop_on_cpu(input, output, noise, threshold);
  return output;
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The gradient drops where the input was dropped: backward keeps the noise alone.
template <bool in_place>
struct ByteDropout : torch::autograd::Function<ByteDropout<in_place>> {
  static at::Tensor forward(AutogradContext* context, at::Tensor input, const at::Tensor& noise, int64_t threshold) {
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({noise});
    context->saved_data["threshold"] = threshold;
    if constexpr (!in_place) return byte_dropout(input, noise, threshold);
    byte_dropout_(input, noise, threshold);
    context->mark_dirty({input});
    return input;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::Tensor noise = context->get_saved_variables()[0];
    const int64_t threshold = context->saved_data["threshold"].toInt();
    return {byte_dropout(gradients[0].contiguous(), noise, threshold), at::Tensor(), at::Tensor()};
  }
};

at::Tensor byte_dropout_with_gradient(const at::Tensor& input, const at::Tensor& noise, int64_t threshold) {
  return ByteDropout<false>::apply(input, noise, threshold);
}

at::Tensor& byte_dropout_with_gradient_(at::Tensor& input, const at::Tensor& noise, int64_t threshold) {
  ByteDropout<true>::apply(input, noise, threshold);
  return input;
}

}  // namespace

TORCH_LIBRARY(fewtune, library) {
  library.def("byte_dropout(Tensor input, Tensor noise, int threshold) -> Tensor");
  library.def("byte_dropout_(Tensor(a!) input, Tensor noise, int threshold) -> Tensor(a!)");
}

TORCH_LIBRARY_IMPL(fewtune, CompositeExplicitAutograd, library) {
  library.impl("byte_dropout", byte_dropout);
  library.impl("byte_dropout_", byte_dropout_);
}

TORCH_LIBRARY_IMPL(fewtune, Autograd, library) {
  library.impl("byte_dropout", byte_dropout_with_gradient);
  library.impl("byte_dropout_", byte_dropout_with_gradient_);
}
