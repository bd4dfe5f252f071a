// A stand-in for mbed's thread, flags and ticker: see drive.cpp.
#pragma once
#include <chrono>
#include <csetjmp>

enum osPriority { osPriorityRealtime };

inline std::jmp_buf thread_waits;
inline void (*thread_body)() = nullptr, (*tick)() = nullptr;

namespace rtos {
struct Thread {
  Thread(osPriority, uint32_t) {}
  void start(void (*body)()) { thread_body = body; }
};
struct EventFlags {
  uint32_t flags = 0;
  void set(uint32_t bits) { flags |= bits; }
  void wait_any(uint32_t bits) {
    if (!(flags & bits)) std::longjmp(thread_waits, 1);
    flags &= ~bits;
  }
};
}  // namespace rtos

namespace mbed {
struct Ticker {
  void attach(void (*call)(), std::chrono::microseconds) { tick = call; }
};
}  // namespace mbed
