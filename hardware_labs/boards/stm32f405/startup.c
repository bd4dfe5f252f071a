/* The vector table of the STM32F405: the core's 16 entries and 82 interrupts, of which a program may
   use that of the line PA0. */
#include "vectors.h"

HANDLER(NMI_Handler);
HANDLER(HardFault_Handler);
HANDLER(MemManage_Handler);
HANDLER(BusFault_Handler);
HANDLER(UsageFault_Handler);
HANDLER(SVC_Handler);
HANDLER(DebugMon_Handler);
HANDLER(PendSV_Handler);
HANDLER(SysTick_Handler);
HANDLER(EXTI0_Handler);

#define EXTI0 6 /* position in the table of interrupts; RM0090, 12.2 */

VECTOR_TABLE const Vector vectors[16 + 82] = {
    CORE_VECTORS,
    [16 ... 16 + EXTI0 - 1] = {Default_Handler},
    [16 + EXTI0] = {EXTI0_Handler},
    [16 + EXTI0 + 1 ... 16 + 82 - 1] = {Default_Handler},
};
