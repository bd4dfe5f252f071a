/* A heart monitor in small: four tasks that share a processor, a window of samples and a serial
   port. Board: stm32f405, for its line.

   Serial port: '.' a sample was stored; '(' and ')' the inference began and ended; '!' an alarm has
   been given, after eight hexadecimal digits: what the alarm reported (see tell_latest).

   The sensor's first two values set how much telemetry there is (see send_telemetry). All others are
   the heart signal, one at each tick. The run ends when the sensor stops. */
#include "monitor.h"

#include "alarm_line.h"
#include "exit.h"
#include "hal.h"
#include "string.h"

#define CYCLES_OF_A_TICK 10000
#define ALARM_WORK 200

enum { INFERENCE, TELEMETRY, ALARM, SAMPLER };

int8_t window[NETWORK_INPUTS];
uint32_t samples;
struct latest latest;

/* Work of a known length: 12 instructions for each unit. */
static void work(uint32_t units) {
  if (!units) return;
  __asm volatile("1: .rept 10\n\tnop\n\t.endr\n\tsubs %0, #1\n\tbne 1b" : "+l"(units)::"cc");
}

static int16_t next_value(void) {
  int16_t value;
  if (!hal_sense(&value)) exit_with(0);
  return value;
}

void sample(void) {
  memmove(window, window + 1, NETWORK_INPUTS - 1);
  window[NETWORK_INPUTS - 1] = (int8_t)next_value();
  samples++;
  hal_put('.');
}

static void put_byte(uint32_t value) {
  hal_put("0123456789abcdef"[value >> 4 & 15]);
  hal_put("0123456789abcdef"[value & 15]);
}

/* Two digits: the low byte of `samples`; then two for each score. */
static void tell_latest(void) {
  put_byte(latest.samples);
  for (int i = 0; i < NETWORK_OUTPUTS; i++) put_byte((uint8_t)latest.scores[i]);
}

void give_alarm(void) {
  tell_latest();
  work(ALARM_WORK);
  hal_put('!');
}

/* Sends what has gathered: at first `shortest` units of work, each time one more, and after
   `shortest` + `spread` - 1 the shortest again. */
static uint32_t shortest, spread, sent;

void send_telemetry(void) { work(shortest + sent++ % spread); }

void judge(void) {
  hal_put('(');
  infer();
}

void on_end_of_job(int task) {
  if (task == INFERENCE) hal_put(')');
}

void alarm_line_rose(void) { kernel_release(ALARM); }

Task tasks[MOST_TASKS] = {
    [INFERENCE] = {.job = judge, .priority = 3, .period = 16, .due = NETWORK_INPUTS},
    [TELEMETRY] = {.job = send_telemetry, .priority = 2, .period = 16},
    [ALARM] = {.job = give_alarm, .priority = 1},
    [SAMPLER] = {.job = sample, .priority = 0, .period = 1},
};
int task_count = 4;

int main(void) {
  shortest = (uint16_t)next_value();
  spread = (uint16_t)next_value();
  if (!spread) return 2;
  alarm_line_start();
  kernel_start(CYCLES_OF_A_TICK, 0);
}
