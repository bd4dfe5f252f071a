/* The core's own 16 vectors. Only a board's startup.c includes this,
   and adds those of its chip's interrupts. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdint.h>

extern uint32_t __stack_top;
void Reset_Handler(void);

/* A fault or an interrupt without a handler: stay here, where a debugger finds it. */
void Default_Handler(void);
void Default_Handler(void) {
  for (;;) __asm volatile("wfi");
}

#define HANDLER(name) void name(void) __attribute__((weak, alias("Default_Handler")))
#define VECTOR_TABLE __attribute__((section(".vectors"), used))

typedef union {
  void (*handler)(void);
  uint32_t *stack;
} Vector;

#define CORE_VECTORS                                                                         \
  {.stack = &__stack_top}, {Reset_Handler}, {NMI_Handler}, {HardFault_Handler},              \
      {MemManage_Handler}, {BusFault_Handler}, {UsageFault_Handler}, {0}, {0}, {0}, {0},     \
      {SVC_Handler}, {DebugMon_Handler}, {0}, {PendSV_Handler}, {SysTick_Handler}

#endif
