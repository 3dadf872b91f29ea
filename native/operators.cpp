// One generic call for every LibTorch operator: slots in and out, read by the operator's own schema.
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <cstring>
#include <sstream>
#include <vector>

#include "boundary.h"

namespace {

using c10::IValue;
using c10::TypeKind;

struct Operator {
  c10::OperatorHandle handle;
  std::string schema;
};

// Reads argument slots one after the other.
struct Slots {
  const int64_t* next;

  int64_t integer() { return *next++; }

  double real() {
    double value;
    std::memcpy(&value, next++, sizeof value);
    return value;
  }

  std::string text() {
    const auto bytes = static_cast<size_t>(integer());
    std::string value(reinterpret_cast<const char*>(next), bytes);
    next += (bytes + 7) / 8;
    return value;
  }

  IValue scalar() {
    switch (integer()) {
      case 0: return IValue(integer());
      case 1: return IValue(real());
      default: return IValue(integer() != 0);
    }
  }
};

template <typename T, typename Read>
IValue read_list(Slots& slots, Read&& read) {
  c10::List<T> list;
  const int64_t count = slots.integer();
  list.reserve(count);
  for (int64_t i = 0; i < count; ++i) list.push_back(read());
  return list;
}

std::optional<at::Tensor> optional_tensor(int64_t handle) {
  if (handle == 0) return std::nullopt;
  return fewtune::borrow_tensor(handle);
}

IValue read_value(Slots& slots, const c10::Type& type);

IValue read_elements(Slots& slots, const c10::Type& element) {
  switch (element.kind()) {
    case TypeKind::TensorType:
      return read_list<at::Tensor>(slots, [&] { return fewtune::borrow_tensor(slots.integer()); });
    case TypeKind::OptionalType:
      TORCH_CHECK(element.castRaw<c10::OptionalType>()->getElementType()->kind() == TypeKind::TensorType,
                  "the shim cannot write a list of ", element.str());
      return read_list<std::optional<at::Tensor>>(slots, [&] { return optional_tensor(slots.integer()); });
    case TypeKind::IntType:
      return read_list<int64_t>(slots, [&] { return slots.integer(); });
    case TypeKind::FloatType:
      return read_list<double>(slots, [&] { return slots.real(); });
    case TypeKind::BoolType:
      return read_list<bool>(slots, [&] { return slots.integer() != 0; });
    default:
      TORCH_CHECK(false, "the shim cannot write a list of ", element.str());
  }
}

IValue read_value(Slots& slots, const c10::Type& type) {
  switch (type.kind()) {
    case TypeKind::TensorType: return fewtune::borrow_tensor(slots.integer());
    case TypeKind::IntType: return slots.integer();
    case TypeKind::FloatType: return slots.real();
    case TypeKind::BoolType: return slots.integer() != 0;
    case TypeKind::NumberType: return slots.scalar();
    case TypeKind::StringType: return slots.text();
    case TypeKind::GeneratorType: return fewtune::borrow_generator(slots.integer());
    case TypeKind::DeviceObjType: {
      const int64_t device_type = slots.integer();
      return fewtune::device_of(device_type, slots.integer());
    }
    case TypeKind::ListType: return read_elements(slots, *type.castRaw<c10::ListType>()->getElementType());
    default: TORCH_CHECK(false, "the shim cannot write an argument of type ", type.str());
  }
}

IValue read_argument(Slots& slots, const c10::Argument& argument) {
  const c10::Type* type = argument.type().get();
  const bool is_optional = type->kind() == TypeKind::OptionalType;
  if (is_optional || argument.default_value()) {
    const int64_t presence = slots.integer();
    if (presence == 0 && argument.default_value()) return *argument.default_value();
    if (presence != 1) return IValue();
  }
  if (is_optional) type = type->castRaw<c10::OptionalType>()->getElementType().get();
  return read_value(slots, *type);
}

struct Results {
  int64_t* next;
  const int64_t* end;

  void integer(int64_t value) {
    TORCH_CHECK(next < end, "the operator returns more values than fit into the result slots");
    *next++ = value;
  }

  void real(double value) {
    int64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    integer(bits);
  }

  void value(IValue&& given) {
    if (given.isTensor()) {
      integer(fewtune::release_tensor(std::move(given).toTensor()));
    } else if (given.isInt()) {
      integer(given.toInt());
    } else if (given.isDouble()) {
      real(given.toDouble());
    } else if (given.isBool()) {
      integer(given.toBool());
    } else if (given.isNone()) {
      integer(0);
    } else if (given.isList()) {
      list(std::move(given));
    } else {
      TORCH_CHECK(false, "the shim cannot read a result of type ", given.tagKind());
    }
  }

  void list(IValue&& given) {
    const auto elements = std::move(given).toListRef().vec();
    integer(static_cast<int64_t>(elements.size()));
    for (auto element : elements) value(std::move(element));
  }

  // Scalars say what they are, as in arguments.
  void scalar(const IValue& given) {
    integer(given.isDouble() ? 1 : given.isBool() ? 2 : 0);
    value(IValue(given));
  }
};

}  // namespace

void* ft_operator_find(const char* name, const char* overload) {
  Operator* found = nullptr;
  fewtune::guarded([&] {
    auto handle = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
    std::ostringstream schema;
    schema << handle.schema();
    found = new Operator{handle, schema.str()};
  });
  return found;
}

const char* ft_operator_schema(const void* op) { return static_cast<const Operator*>(op)->schema.c_str(); }

int32_t ft_operator_call(const void* op, const int64_t* arguments, int64_t* results, int32_t capacity) {
  return fewtune::guarded([&] {
    const auto& handle = static_cast<const Operator*>(op)->handle;
    const auto& schema = handle.schema();
    torch::jit::Stack stack;
    stack.reserve(schema.arguments().size());
    Slots slots{arguments};
    for (const auto& argument : schema.arguments()) stack.push_back(read_argument(slots, argument));
    handle.callBoxed(stack);
    Results out{results, results + capacity};
    for (size_t i = 0; i < stack.size(); ++i) {
      if (schema.returns()[i].type()->kind() == TypeKind::NumberType) {
        out.scalar(stack[i]);
      } else {
        out.value(std::move(stack[i]));
      }
    }
  });
}
