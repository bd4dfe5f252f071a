/* An alarm beside a network on FreeRTOS: what hardware_labs/scheduler shows on its own kernel.

   The alarm is released by the line (PA0), the network works on noise of its own. With LOCKED the
   network runs in a critical section. Serial port: '(' and ')' the network began and ended, '!' an
   alarm was given. */
#include "FreeRTOS.h"
#include "alarm_line.h"
#include "exit.h"
#include "hal.h"
#include "network.h"
#include "registers.h"
#include "task.h"

#define NVIC_IPR1 0xE000E404u
#define MAY_CALL_THE_KERNEL (0x60u << 16) /* interrupt 6 has the third byte of its word */
#define STACK_WORDS 256
#define PERIOD 16
#define JOBS 40

static StaticTask_t alarm_block, inference_block;
static StackType_t alarm_stack[STACK_WORDS], inference_stack[STACK_WORDS];
static TaskHandle_t alarm_task;

void alarm_line_rose(void) {
  BaseType_t is_more_urgent = pdFALSE;
  vTaskNotifyGiveFromISR(alarm_task, &is_more_urgent);
  portYIELD_FROM_ISR(is_more_urgent);
}

static void give_alarms(void *unused) {
  (void)unused;
  for (;;) {
    ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    hal_put('!');
  }
}

static void judge(void *unused) {
  static int8_t noise[NETWORK_INPUTS], scores[NETWORK_OUTPUTS];
  (void)unused;
  TickType_t last = xTaskGetTickCount();
  for (int job = 0; job < JOBS; job++) {
    xTaskDelayUntil(&last, PERIOD);
    hal_put('(');
#ifdef LOCKED
    taskENTER_CRITICAL();
#endif
    network(noise, scores);
#ifdef LOCKED
    taskEXIT_CRITICAL();
#endif
    hal_put(')');
  }
  exit_with(0);
}

int main(void) {
  alarm_task = xTaskCreateStatic(give_alarms, "alarm", STACK_WORDS, 0, 3, alarm_stack, &alarm_block);
  xTaskCreateStatic(judge, "inference", STACK_WORDS, 0, 1, inference_stack, &inference_block);
  alarm_line_start();
  REGISTER(NVIC_IPR1) = MAY_CALL_THE_KERNEL;
  vTaskStartScheduler();
  return 1;
}
