// Counts the bytes that are asked of LibTorch's CPU allocator, as Fewtune's own does: those live now, and the most at any
// moment.
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <atomic>
#include <cstdint>

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

// Each block begins with its size, in as many bytes as keep what follows aligned. The header itself is not counted.
constexpr size_t kHeader = c10::gAlignment;

void add(int64_t bytes) {
  const int64_t now = live_bytes += bytes;
  int64_t peak = peak_bytes;
  while (now > peak && !peak_bytes.compare_exchange_weak(peak, now)) {
  }
}

void* allocate_counted(size_t bytes) {
  if (bytes == 0) return nullptr;
  char* block = static_cast<char*>(c10::alloc_cpu(bytes + kHeader));
  *reinterpret_cast<int64_t*>(block) = static_cast<int64_t>(bytes);
  add(static_cast<int64_t>(bytes));
  return block + kHeader;
}

void release(void* data) {
  if (data == nullptr) return;
  char* block = static_cast<char*>(data) - kHeader;
  live_bytes -= *reinterpret_cast<int64_t*>(block);
  c10::free_cpu(block);
}

// LibTorch resizes storages through raw_deleter(), so the context pointer has to be the data pointer itself.
struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = allocate_counted(bytes);
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
