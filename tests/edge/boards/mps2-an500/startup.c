/* The vector table of the MPS2: the core's 16 entries and 32 interrupts, none of them used yet. */
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

VECTOR_TABLE const Vector vectors[16 + 32] = {
    CORE_VECTORS,
    [16 ... 16 + 32 - 1] = {Default_Handler},
};
