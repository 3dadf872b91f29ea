// What every file of the shim needs at the boundary: statuses for exceptions, and handles for references.
#pragma once
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <new>
#include <string>

#include "fewtune.h"

namespace fewtune {

enum Status : int32_t { kFine = 0, kRefused = 1, kOutOfMemory = 2 };

void remember_error(const std::string& message);

// Runs `body`; whatever it throws becomes a status and a remembered message.
template <typename Body>
int32_t guarded(Body&& body) noexcept {
  try {
    body();
    return kFine;
  } catch (const c10::OutOfMemoryError& error) {
    remember_error(error.what_without_backtrace());
    return kOutOfMemory;
  } catch (const c10::Error& error) {
    remember_error(error.what_without_backtrace());
    return kRefused;
  } catch (const std::bad_alloc&) {
    remember_error("the system has no more memory to give");
    return kOutOfMemory;
  } catch (const std::exception& error) {
    remember_error(error.what());
    return kRefused;
  } catch (...) {
    remember_error("an exception that is no std::exception");
    return kRefused;
  }
}

inline at::Tensor borrow_tensor(int64_t handle) {
  if (handle == 0) return at::Tensor();
  auto* impl = reinterpret_cast<c10::TensorImpl*>(handle);
  return at::Tensor(c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>::reclaim_copy(impl));
}

inline int64_t release_tensor(at::Tensor tensor) {
  if (!tensor.defined()) return 0;
  return reinterpret_cast<int64_t>(tensor.unsafeReleaseTensorImpl());
}

inline at::Generator borrow_generator(int64_t handle) { return *reinterpret_cast<at::Generator*>(handle); }

inline c10::Device device_of(int64_t type, int64_t index) {
  return c10::Device(static_cast<c10::DeviceType>(type), static_cast<c10::DeviceIndex>(index));
}

}  // namespace fewtune
