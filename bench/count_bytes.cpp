// Counts the bytes that LibTorch's CPU allocator has given out: those live now, and the most at any moment.
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

void add(int64_t bytes) {
  const int64_t now = live_bytes += bytes;
  int64_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

void release(void* data) {
  if (data == nullptr) return;
  live_bytes -= static_cast<int64_t>(malloc_usable_size(data));
  c10::free_cpu(data);
}

// LibTorch resizes storages through raw_deleter(), so the context pointer has to be the data pointer itself.
struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = c10::alloc_cpu(bytes);
    if (data != nullptr) add(static_cast<int64_t>(malloc_usable_size(data)));
    return {data, data, release, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return release; }
  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

CountingAllocator allocator;

}  // namespace

extern "C" {

void count_bytes_start() { c10::SetCPUAllocator(&allocator, /*priority=*/255); }
int64_t count_bytes_live() { return live_bytes; }
int64_t count_bytes_peak() { return peak_bytes; }
void count_bytes_reset_peak() { peak_bytes = live_bytes.load(); }

}
