/* Registers of the chip, as words at addresses. */
#ifndef REGISTERS_H
#define REGISTERS_H

#include <stdint.h>

#define REGISTER(address) (*(volatile uint32_t *)(address))

/* How often a ready bit is asked for before a device counts as dead. */
#define PATIENCE 10000

/* Wait until some bits of a register are set. Return 1, or 0 if they stay clear. */
static inline int wait_for(uint32_t address, uint32_t bits) {
  for (int tries = 0; tries < PATIENCE; tries++) {
    if (REGISTER(address) & bits) return 1;
  }
  return 0;
}

#endif
