/* From reset to main: the same on every Cortex-M with a floating-point unit. */
#include "exit.h"
#include "hal.h"
#include "registers.h"

#define CPACR 0xE000ED88u
#define VTOR 0xE000ED08u
#define FPU_ON (0xFu << 20)

extern uint32_t __vectors, __data_start, __data_end, __data_load, __bss_start, __bss_end;

int main(void);
void Reset_Handler(void);

uint32_t hal_clock_hz;

/* Written out as loops of volatile words: memcpy and memset may need the unit that is still off. */
static void set_up_memory(void) {
  volatile uint32_t *from = &__data_load;
  for (volatile uint32_t *to = &__data_start; to < &__data_end;) *to++ = *from++;
  for (volatile uint32_t *to = &__bss_start; to < &__bss_end;) *to++ = 0;
}

void Reset_Handler(void) {
  REGISTER(VTOR) = (uint32_t)&__vectors; /* a boot loader may have left its own */
  REGISTER(CPACR) |= FPU_ON;
  __asm volatile("dsb\n\tisb" ::: "memory");
  uint32_t clock = hal_clock_start();
  set_up_memory();
  hal_clock_hz = clock;
  hal_start();
  exit_with(main());
}
