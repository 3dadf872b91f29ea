// fewtune::linear: a linear map that keeps its input alone for backward, where GELU goes before it and where the input
// is of a narrower type than the weight.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace {

using OptionalTensor = std::optional<at::Tensor>;

at::Tensor activated(const at::Tensor& input, const std::string& gelu) {
  return gelu.empty() ? input : at::gelu(input, gelu);
}

// With a `cast`, the weight in the input's type, products are of that type. Without one they are of the weight's type,
// and only the result is rounded: for processors that have no arithmetic for the narrower one.
at::Tensor linear(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                  const OptionalTensor& cast, c10::string_view gelu) {
  const at::Tensor rows = activated(input, std::string(gelu));
  if (cast) return at::linear(rows, *cast, bias ? OptionalTensor(bias->to(cast->scalar_type())) : std::nullopt);
  return at::linear(rows.to(weight.scalar_type()), weight, bias).to(input.scalar_type());
}

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            const OptionalTensor& bias, const OptionalTensor& cast, const std::string& gelu) {
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, weight});
    context->saved_data["gelu"] = gelu;
    context->saved_data["is_narrow"] = cast.has_value();
    context->saved_data["has_bias"] = bias.has_value();
    return linear(input, weight, bias, cast, gelu);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const std::string gelu = context->saved_data["gelu"].toStringRef();
    const auto type = context->saved_data["is_narrow"].toBool() ? input.scalar_type() : weight.scalar_type();
    const at::Tensor gradient = gradients[0].to(type);
    at::Tensor of_input, of_weight, of_bias;
    if (context->needs_input_grad(1)) {
      const at::Tensor by_rows = in_rows(gradient).t().mm(in_rows(activated(input, gelu).to(type)));
      of_weight = by_rows.to(weight.scalar_type());
    }
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(2)) {
      of_bias = in_rows(gradient).sum(0, false, weight.scalar_type());
    }
    if (context->needs_input_grad(0)) {
      of_input = gradient.matmul(weight.to(type)).to(input.scalar_type());
      if (!gelu.empty()) at::gelu_backward_out(of_input, of_input, input, gelu);
    }
    return {of_input, of_weight, of_bias, at::Tensor(), at::Tensor()};
  }

  static at::Tensor in_rows(const at::Tensor& tensor) { return tensor.reshape({-1, tensor.size(-1)}); }
};

at::Tensor linear_with_gradient(const at::Tensor& input, const at::Tensor& weight, const OptionalTensor& bias,
                                const OptionalTensor& cast, c10::string_view gelu) {
  return Linear::apply(input, weight, bias, cast, std::string(gelu));
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fewtune, library) {
  library.def("linear(Tensor input, Tensor weight, Tensor? bias, Tensor? cast, str gelu) -> Tensor");
}

TORCH_LIBRARY_IMPL(fewtune, CompositeExplicitAutograd, library) { library.impl("linear", linear); }

TORCH_LIBRARY_IMPL(fewtune, Autograd, library) { library.impl("linear", linear_with_gradient); }
