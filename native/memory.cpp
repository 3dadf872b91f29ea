// Exact bytes: a counting CPU allocator, and the device allocators' own statistics.
#include <c10/core/Allocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <atomic>
#include <limits>

#include "boundary.h"

namespace {

std::atomic<int64_t> live_bytes{0};
std::atomic<int64_t> peak_bytes{0};

// Each block begins with its size, in as many bytes as keep what follows aligned: what was asked for is what is counted.
constexpr size_t kHeader = c10::gAlignment;

void count_allocation(int64_t bytes) {
  const int64_t live = live_bytes.fetch_add(bytes) + bytes;
  int64_t peak = peak_bytes.load();
  while (live > peak && !peak_bytes.compare_exchange_weak(peak, live)) {
  }
}

char* allocate_block(size_t bytes) {
  try {
    return static_cast<char*>(c10::alloc_cpu(bytes + kHeader));
  } catch (const c10::Error&) {
    TORCH_CHECK_WITH(OutOfMemoryError, false, "the system cannot give ", bytes, " bytes");
  }
}

void* allocate_counted(size_t bytes) {
  if (bytes == 0) return nullptr;
  char* block = allocate_block(bytes);
  *reinterpret_cast<int64_t*>(block) = static_cast<int64_t>(bytes);
  count_allocation(static_cast<int64_t>(bytes));
  return block + kHeader;
}

void free_counted(void* data) {
  if (!data) return;
  char* block = static_cast<char*>(data) - kHeader;
  live_bytes.fetch_sub(*reinterpret_cast<int64_t*>(block));
  c10::free_cpu(block);
}

struct CountingAllocator final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = allocate_counted(bytes);
    return {data, data, &free_counted, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &free_counted; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }
};

// By default glibc takes every large block anew from the system and gives it back when it is freed: the page faults cost
// more time than the arithmetic on the block. Freed blocks stay in the heap, until ft_memory_cpu_release().
const bool freed_blocks_stay = mallopt(M_MMAP_MAX, 0) && mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max()) &&
                               mallopt(M_TOP_PAD, 64 << 20);

CountingAllocator counting_allocator;
const bool counting = (c10::SetAllocator(c10::DeviceType::CPU, &counting_allocator, 255), true);

c10::DeviceAllocator* allocator_of(int32_t type) {
  return c10::getDeviceAllocator(static_cast<c10::DeviceType>(type));
}

}  // namespace

void ft_memory_cpu(int64_t* out) {
  out[0] = live_bytes.load();
  out[1] = peak_bytes.load();
}

void ft_memory_cpu_reset_peak() { peak_bytes.store(live_bytes.load()); }

void ft_memory_cpu_release() { malloc_trim(0); }

int32_t ft_memory_device(int32_t type, int32_t index, int64_t* out) {
  return fewtune::guarded([&] {
    const auto stats = allocator_of(type)->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    constexpr auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    out[0] = stats.allocated_bytes[all].current;
    out[1] = stats.allocated_bytes[all].peak;
    out[2] = stats.reserved_bytes[all].current;
    out[3] = stats.reserved_bytes[all].peak;
  });
}

int32_t ft_memory_device_reset_peak(int32_t type, int32_t index) {
  return fewtune::guarded([&] { allocator_of(type)->resetPeakStats(static_cast<c10::DeviceIndex>(index)); });
}
