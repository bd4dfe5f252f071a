/* Registers: ST's reference manual RM0090, 12 (EXTI); Armv7-M Architecture Reference Manual, B3.4
   (the interrupt controller). Reset has left PA0 an input, and port A as the one that EXTI0 listens to. */
#include "alarm_line.h"

#include "registers.h"

#define EXTI_IMR 0x40013C00u
#define EXTI_RTSR 0x40013C08u
#define EXTI_PR 0x40013C14u
#define NVIC_ISER0 0xE000E100u
#define NVIC_IPR1 0xE000E404u
#define LINE 1u
#define INTERRUPT 6u
#define URGENT (0x10u << 16) /* interrupt 6 has the third byte of its word */

void alarm_line_start(void) {
  REGISTER(EXTI_RTSR) = LINE;
  REGISTER(EXTI_IMR) = LINE;
  REGISTER(NVIC_IPR1) = URGENT;
  REGISTER(NVIC_ISER0) = 1u << INTERRUPT;
}

void EXTI0_Handler(void);
void EXTI0_Handler(void) {
  REGISTER(EXTI_PR) = LINE; /* a one clears */
  alarm_line_rose();
}
