// Operators ready to be called, each declared by the schema that LibTorch prints for it.
//
// A trailing underscore means in place, as in PyTorch. Declare further ones with `operator(schema)`.

import { operator } from "./operator.ts";

export const empty = operator(
  "aten::empty.memory_format(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor",
);
export const zeros = operator(
  "aten::zeros(SymInt[] size, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
);
export const full = operator(
  "aten::full(SymInt[] size, Scalar fill_value, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
);
export const arange = operator(
  "aten::arange(Scalar end, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
);
export const emptyLike = operator(
  "aten::empty_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor",
);
export const zerosLike = operator(
  "aten::zeros_like(Tensor self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, MemoryFormat? memory_format=None) -> Tensor",
);
export const normal_ = operator(
  "aten::normal_(Tensor(a!) self, float mean=0., float std=1., *, Generator? generator=None) -> Tensor(a!)",
);
export const uniform_ = operator(
  "aten::uniform_(Tensor(a!) self, float from=0., float to=1., *, Generator? generator=None) -> Tensor(a!)",
);
export const random_ = operator(
  "aten::random_.from(Tensor(a!) self, int from, int? to, *, Generator? generator=None) -> Tensor(a!)",
);
export const coalesce = operator(
  "aten::coalesce(Tensor(a) self) -> Tensor(a)",
);
export const sparseIndices = operator(
  "aten::_indices(Tensor(a) self) -> Tensor(a)",
);
export const sparseValues = operator(
  "aten::_values(Tensor(a) self) -> Tensor(a)",
);
export const toDense = operator(
  "aten::to_dense(Tensor self, ScalarType? dtype=None, *, bool? masked_grad=None) -> Tensor",
);
export const foreachAddScalar_ = operator(
  "aten::_foreach_add_.Scalar(Tensor(a!)[] self, Scalar scalar) -> ()",
);
export const indexAdd_ = operator(
  "aten::index_add_(Tensor(a!) self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor(a!)",
);
export const indexCopy_ = operator(
  "aten::index_copy_(Tensor(a!) self, int dim, Tensor index, Tensor source) -> Tensor(a!)",
);
export const indexFill_ = operator(
  "aten::index_fill_.int_Scalar(Tensor(a!) self, int dim, Tensor index, Scalar value) -> Tensor(a!)",
);
export const view = operator(
  "aten::view(Tensor(a) self, SymInt[] size) -> Tensor(a)",
);
export const viewDtype = operator(
  "aten::view.dtype(Tensor(a) self, ScalarType dtype) -> Tensor(a)",
);
export const reshape = operator(
  "aten::reshape(Tensor(a) self, SymInt[] shape) -> Tensor(a)",
);
export const expand = operator(
  "aten::expand(Tensor(a) self, SymInt[] size, *, bool implicit=False) -> Tensor(a)",
);
export const transpose = operator(
  "aten::transpose.int(Tensor(a) self, int dim0, int dim1) -> Tensor(a)",
);
export const permute = operator(
  "aten::permute(Tensor(a) self, int[] dims) -> Tensor(a)",
);
export const narrow = operator(
  "aten::narrow(Tensor(a) self, int dim, SymInt start, SymInt length) -> Tensor(a)",
);
export const select = operator(
  "aten::select.int(Tensor(a) self, int dim, SymInt index) -> Tensor(a)",
);
export const cat = operator(
  "aten::cat(Tensor[] tensors, int dim=0) -> Tensor",
);
export const stack = operator(
  "aten::stack(Tensor[] tensors, int dim=0) -> Tensor",
);
export const unsqueeze = operator(
  "aten::unsqueeze(Tensor(a) self, int dim) -> Tensor(a)",
);
export const contiguous = operator(
  "aten::contiguous(Tensor(a) self, *, MemoryFormat memory_format=0) -> Tensor(a)",
);
export const indexSelect = operator(
  "aten::index_select(Tensor self, int dim, Tensor index) -> Tensor",
);
export const detach = operator(
  "aten::detach(Tensor(a) self) -> Tensor(a)",
);
export const clone = operator(
  "aten::clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor",
);
export const copy_ = operator(
  "aten::copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor(a!)",
);
export const to = operator(
  "aten::to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
);
export const add = operator(
  "aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
);
export const add_ = operator(
  "aten::add_.Tensor(Tensor(a!) self, Tensor other, *, Scalar alpha=1) -> Tensor(a!)",
);
export const addScalar = operator(
  "aten::add.Scalar(Tensor self, Scalar other, Scalar alpha=1) -> Tensor",
);
export const addScalar_ = operator(
  "aten::add_.Scalar(Tensor(a!) self, Scalar other, Scalar alpha=1) -> Tensor(a!)",
);
export const sub = operator(
  "aten::sub.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor",
);
export const mul = operator(
  "aten::mul.Tensor(Tensor self, Tensor other) -> Tensor",
);
export const mul_ = operator(
  "aten::mul_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)",
);
export const mulScalar = operator(
  "aten::mul.Scalar(Tensor self, Scalar other) -> Tensor",
);
export const mulScalar_ = operator(
  "aten::mul_.Scalar(Tensor(a!) self, Scalar other) -> Tensor(a!)",
);
export const div = operator(
  "aten::div.Tensor(Tensor self, Tensor other) -> Tensor",
);
export const matmul = operator(
  "aten::matmul(Tensor self, Tensor other) -> Tensor",
);
export const linear = operator(
  "aten::linear(Tensor input, Tensor weight, Tensor? bias=None) -> Tensor",
);
export const softmax = operator(
  "aten::softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
);
export const softmaxBackward = operator(
  "aten::_softmax_backward_data(Tensor grad_output, Tensor output, int dim, ScalarType input_dtype) -> Tensor",
);
export const logSoftmax = operator(
  "aten::log_softmax.int(Tensor self, int dim, ScalarType? dtype=None) -> Tensor",
);
export const gelu = operator(
  'aten::gelu(Tensor self, *, str approximate="none") -> Tensor',
);
export const gelu_ = operator(
  'aten::gelu_(Tensor(a!) self, *, str approximate="none") -> Tensor(a!)',
);
export const tanh = operator(
  "aten::tanh(Tensor self) -> Tensor",
);
export const relu = operator(
  "aten::relu(Tensor self) -> Tensor",
);
export const relu_ = operator(
  "aten::relu_(Tensor(a!) self) -> Tensor(a!)",
);
export const sigmoid = operator(
  "aten::sigmoid(Tensor self) -> Tensor",
);
export const erfinv_ = operator(
  "aten::erfinv_(Tensor(a!) self) -> Tensor(a!)",
);
export const sigmoid_ = operator(
  "aten::sigmoid_(Tensor(a!) self) -> Tensor(a!)",
);
export const exp = operator(
  "aten::exp(Tensor self) -> Tensor",
);
export const logit = operator(
  "aten::logit(Tensor self, float? eps=None) -> Tensor",
);
export const abs = operator(
  "aten::abs(Tensor self) -> Tensor",
);
export const clamp_ = operator(
  "aten::clamp_(Tensor(a!) self, Scalar? min=None, Scalar? max=None) -> Tensor(a!)",
);
export const sum = operator(
  "aten::sum(Tensor self, *, ScalarType? dtype=None) -> Tensor",
);
export const sumOver = operator(
  "aten::sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
);
export const mean = operator(
  "aten::mean(Tensor self, *, ScalarType? dtype=None) -> Tensor",
);
export const meanOver = operator(
  "aten::mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
);
export const maskedFill = operator(
  "aten::masked_fill.Scalar(Tensor self, Tensor mask, Scalar value) -> Tensor",
);
export const maskedFill_ = operator(
  "aten::masked_fill_.Scalar(Tensor(a!) self, Tensor mask, Scalar value) -> Tensor(a!)",
);
export const lessThanScalar = operator(
  "aten::lt.Scalar(Tensor self, Scalar other) -> Tensor",
);
export const equalScalar = operator(
  "aten::eq.Scalar(Tensor self, Scalar other) -> Tensor",
);
export const where = operator(
  "aten::where.self(Tensor condition, Tensor self, Tensor other) -> Tensor",
);
export const logicalNot = operator(
  "aten::logical_not(Tensor self) -> Tensor",
);
export const powScalar = operator(
  "aten::pow.Tensor_Scalar(Tensor self, Scalar exponent) -> Tensor",
);
export const argmax = operator(
  "aten::argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor",
);
export const topk = operator(
  "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
);
export const nonzero = operator(
  "aten::nonzero(Tensor self) -> Tensor",
);
export const isfinite = operator(
  "aten::isfinite(Tensor self) -> Tensor",
);
export const all = operator(
  "aten::all(Tensor self) -> Tensor",
);
export const layerNorm = operator(
  "aten::layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1.0000000000000001e-05, bool cudnn_enable=True) -> Tensor",
);
export const embedding = operator(
  "aten::embedding(Tensor weight, Tensor indices, SymInt padding_idx=-1, bool scale_grad_by_freq=False, bool sparse=False) -> Tensor",
);
export const scaledDotProductAttention = operator(
  "aten::scaled_dot_product_attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask=None, float dropout_p=0., bool is_causal=False, *, float? scale=None, bool enable_gqa=False) -> Tensor",
);
export const crossEntropyLoss = operator(
  "aten::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, SymInt ignore_index=-100, float label_smoothing=0.) -> Tensor",
);
export const mseLoss = operator(
  "aten::mse_loss(Tensor self, Tensor target, int reduction=1) -> Tensor",
);
export const runBackward = operator(
  "aten::_backward(Tensor self, Tensor[] inputs, Tensor? gradient=None, bool? retain_graph=None, bool create_graph=False) -> ()",
);
export const requiresGrad_ = operator(
  "aten::requires_grad_(Tensor(a!) self, bool requires_grad=True) -> Tensor(a!)",
);
export const scalarOf = operator(
  "aten::item(Tensor self) -> Scalar",
);
export const fusedAdamw_ = operator(
  "aten::_fused_adamw_(Tensor(a!)[] self, Tensor(b!)[] grads, Tensor(c!)[] exp_avgs, Tensor(d!)[] exp_avg_sqs, Tensor(e!)[] max_exp_avg_sqs, Tensor[] state_steps, *, float lr, float beta1, float beta2, float weight_decay, float eps, bool amsgrad, bool maximize, Tensor? grad_scale=None, Tensor? found_inf=None) -> ()",
);
export const linalgVectorNorm = operator(
  "aten::linalg_vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor",
);
export const equal = operator(
  "aten::equal(Tensor self, Tensor other) -> bool",
);
export const zero_ = operator(
  "aten::zero_(Tensor(a!) self) -> Tensor(a!)",
);
export const fill_ = operator(
  "aten::fill_.Scalar(Tensor(a!) self, Scalar value) -> Tensor(a!)",
);
