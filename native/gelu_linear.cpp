// A linear map of GELU's output that keeps GELU's input alone for backward: fewtune::gelu_linear.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

at::Tensor gelu_linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       c10::string_view approximate) {
  return at::linear(at::gelu(input, approximate), weight, bias);
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct GeluLinear : torch::autograd::Function<GeluLinear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const at::Tensor& bias, const std::string& approximate) {
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, weight});
    context->saved_data["approximate"] = approximate;
    return gelu_linear(input, weight, bias.defined() ? std::optional(bias) : std::nullopt, approximate);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1], &gradient = gradients[0];
    const std::string approximate = context->saved_data["approximate"].toStringRef();
    at::Tensor of_input, of_weight, of_bias;
    if (context->needs_input_grad(1)) {
      of_weight = rows(gradient).t().mm(rows(at::gelu(input, approximate)));
    }
    if (context->needs_input_grad(2)) of_bias = rows(gradient).sum(0);
    if (context->needs_input_grad(0)) {
      of_input = gradient.matmul(weight);
      at::gelu_backward_out(of_input, of_input, input, approximate);
    }
    return {of_input, of_weight, of_bias, at::Tensor()};
  }

  static at::Tensor rows(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }
};

at::Tensor gelu_linear_with_gradient(const at::Tensor& input, const at::Tensor& weight,
                                     const std::optional<at::Tensor>& bias, c10::string_view approximate) {
  return GeluLinear::apply(input, weight, bias.value_or(at::Tensor()), std::string(approximate));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fewtune, library) {
  library.def("gelu_linear(Tensor input, Tensor weight, Tensor? bias, str approximate) -> Tensor");
}

TORCH_LIBRARY_IMPL(fewtune, CompositeExplicitAutograd, library) { library.impl("gelu_linear", gelu_linear); }

TORCH_LIBRARY_IMPL(fewtune, Autograd, library) { library.impl("gelu_linear", gelu_linear_with_gradient); }
