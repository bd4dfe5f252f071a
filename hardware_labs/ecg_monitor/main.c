/* The monitor on a board: SysTick takes a sample 360 times a second, whatever main is doing. */
#include "beats.h"
#include "hal.h"
#include "monitor.h"
#include "systick.h"

#define QUEUE 64u     /* samples that may wait while the model runs: 0.18 s */
#define SILENT_MOST 4u /* ticks without a sample until the firmware ends */

typedef struct {
  int16_t sample;
  uint8_t lead_off;
} Reading;

static volatile Reading queue[QUEUE];
static volatile uint32_t taken, put, lost, silent;
static volatile uint32_t missed; /* ticks without a sample, also those that ended while main was busy */

void SysTick_Handler(void);

void SysTick_Handler(void) {
  int16_t sample;
  if (!hal_sense(&sample)) {
    silent++;
    missed++;
    return;
  }
  silent = 0;
  if (put - taken == QUEUE) {
    lost++;
    return;
  }
  volatile Reading *reading = &queue[put % QUEUE];
  reading->sample = sample;
  reading->lead_off = (uint8_t)hal_lead_off();
  put++;
}

static void handle_readings(void) {
  while (taken != put) {
    volatile Reading *reading = &queue[taken % QUEUE];
    monitor_add(reading->sample, reading->lead_off);
    taken++;
  }
}

int main(void) {
  uint32_t lost_told = 0, missed_told = 0;
  monitor_start();
  systick_start(hal_clock_hz / SAMPLE_RATE);
  systick_interrupt();
  while (silent < SILENT_MOST) {
    handle_readings();
    if (missed != missed_told) {
      missed_told = missed;
      monitor_stopped();
    }
    if (lost != lost_told) {
      monitor_lost(lost - lost_told);
      lost_told = lost;
    }
    __asm volatile("wfi");
  }
  return 0;
}
