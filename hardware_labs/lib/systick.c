/* Source of the registers: Armv7-M Architecture Reference Manual, B3.3. */
#include "systick.h"

#include "registers.h"

#define SYST_CSR 0xE000E010u
#define SYST_RVR 0xE000E014u
#define SYST_CVR 0xE000E018u
#define ICSR 0xE000ED04u

#define ENABLE 1u
#define TICKINT 2u
#define CORE_CLOCK 4u
#define COUNTFLAG (1u << 16)
#define PENDSTCLR (1u << 25)

void systick_start(uint32_t cycles) {
  REGISTER(SYST_CSR) = 0;
  REGISTER(SYST_RVR) = cycles - 1;
  REGISTER(SYST_CVR) = 0;
  REGISTER(SYST_CSR) = ENABLE | CORE_CLOCK;
}

void systick_interrupt(void) { REGISTER(SYST_CSR) |= TICKINT; }

uint32_t systick_left(void) { return REGISTER(SYST_CVR); }

uint32_t systick_between(uint32_t earlier, uint32_t later) {
  return earlier >= later ? earlier - later : earlier + REGISTER(SYST_RVR) + 1 - later;
}

void systick_sleep(void) {
  __asm volatile("cpsid i" ::: "memory");
  REGISTER(SYST_CSR) |= TICKINT;
  while (!(REGISTER(SYST_CSR) & COUNTFLAG)) __asm volatile("wfi" ::: "memory");
  REGISTER(SYST_CSR) &= ~TICKINT;
  REGISTER(ICSR) = PENDSTCLR;
  __asm volatile("cpsie i" ::: "memory");
}
