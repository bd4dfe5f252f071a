/* The core's timer: counts clock cycles down, 24 bits, and wakes a sleeping core. */
#ifndef SYSTICK_H
#define SYSTICK_H

#include <stdint.h>

#define SYSTICK_LONGEST 0x1000000u

/* Start counting; wrap after so many cycles (2 to SYSTICK_LONGEST). */
void systick_start(uint32_t cycles);

/* Call SysTick_Handler, which the application brings, at every wrap from now on. */
void systick_interrupt(void);

/* The cycles that are left until the next wrap. */
uint32_t systick_left(void);

/* Cycles from an earlier reading to a later one, less than one wrap apart. */
uint32_t systick_between(uint32_t earlier, uint32_t later);

/* Sleep until the timer wraps. No handler runs: a pending interrupt that is masked wakes too. */
void systick_sleep(void);

#endif
