/* What FreeRTOS asks an application to choose. Board: stm32f405. */
#ifndef FREERTOS_CONFIG_H
#define FREERTOS_CONFIG_H

#include "exit.h"

#define configUSE_PREEMPTION 1
#define configUSE_TIME_SLICING 0
#define configMAX_PRIORITIES 4 /* a larger number is more urgent */
#define configMINIMAL_STACK_SIZE 128
#define configMAX_TASK_NAME_LEN 12
#define configTICK_TYPE_WIDTH_IN_BITS TICK_TYPE_WIDTH_32_BITS
#define configCPU_CLOCK_HZ 168000000ul
#define configTICK_RATE_HZ 16800 /* a tick every 10,000 cycles, as in ../scheduler */
#define configUSE_IDLE_HOOK 0
#define configUSE_TICK_HOOK 0
#define configSUPPORT_STATIC_ALLOCATION 1
#define configSUPPORT_DYNAMIC_ALLOCATION 0
#define configKERNEL_PROVIDED_STATIC_MEMORY 1
#define configCHECK_FOR_STACK_OVERFLOW 0
#define INCLUDE_xTaskDelayUntil 1

/* Priorities of interrupts: a smaller number is more urgent. Critical sections mask those from
   configMAX_SYSCALL_INTERRUPT_PRIORITY on; only these may call the kernel. */
#define configKERNEL_INTERRUPT_PRIORITY 0xF0
#define configMAX_SYSCALL_INTERRUPT_PRIORITY 0x50

#define ASSERTION_FAILED 103
#define configASSERT(true_here) \
  if (!(true_here)) exit_with(ASSERTION_FAILED)

/* The kernel's handlers take the places of the board's. */
#define vPortSVCHandler SVC_Handler
#define xPortPendSVHandler PendSV_Handler
#define xPortSysTickHandler SysTick_Handler

#endif
