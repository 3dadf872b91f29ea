// Errors, warnings and libraries: what the shim tells about itself.
#include "boundary.h"

#include <dlfcn.h>

namespace {

thread_local std::string last_error;
thread_local std::string warnings;
thread_local std::string taken_warnings;

// LibTorch prints its warnings unless somebody keeps them.
struct KeepWarnings final : c10::WarningHandler {
  void process(const c10::Warning& warning) override {
    if (warnings.size() < (1 << 16)) warnings += warning.msg() + "\n";
  }
};

KeepWarnings warning_keeper;

}  // namespace

void fewtune::remember_error(const std::string& message) { last_error = message; }

const char* ft_build_stamp() { return FEWTUNE_BUILD_STAMP; }

const char* ft_last_error() { return last_error.c_str(); }

void ft_keep_warnings() { c10::WarningUtils::set_warning_handler(&warning_keeper); }

const char* ft_take_warnings() {
  taken_warnings.swap(warnings);
  warnings.clear();
  return taken_warnings.c_str();
}

int32_t ft_open_library(const char* path) {
  if (dlopen(path, RTLD_NOW | RTLD_GLOBAL)) return fewtune::kFine;
  fewtune::remember_error(dlerror());
  return fewtune::kRefused;
}
