/* Shows who gets the processor: each slot between two ticks prints the letter of the task that has
   it, '-' for none. No task computes anything; time is counted in slots.

   The sensor gives the tasks, as whole numbers: how many slots to show; the first tick's number in
   two halves (low, high); a slot before which the core sleeps and how many ticks long (0: never);
   how many tasks; and for each task priority, period, first release after the start, and the slots
   that a job takes. */
#include "exit.h"
#include "hal.h"
#include "kernel.h"

#define CYCLES_OF_A_SLOT 4000

Task tasks[MOST_TASKS];
int task_count;
static uint32_t length[MOST_TASKS], used[MOST_TASKS];
static uint32_t slots, slot, sleep_at, sleep_ticks;
static volatile int is_fresh = 1;

static uint32_t next_number(void) {
  int16_t sample;
  if (!hal_sense(&sample)) exit_with(2);
  return (uint16_t)sample;
}

static void tell(char letter) {
  if (!is_fresh) return;
  is_fresh = 0;
  hal_put(letter);
}

/* A job that never returns: on_tick takes it off when it has had its slots. */
static void show(void) {
  for (;;) {
    tell((char)('a' + kernel_running()));
    __asm volatile("wfi");
  }
}

void on_idle(void) { tell('-'); }

void on_tick(void) {
  int task = kernel_running();
  if (task != IDLE && ++used[task] == length[task]) {
    used[task] = 0;
    tasks[task].jobs--;
  }
  if (++slot == slots) exit_with(0);
  if (sleep_ticks && slot == sleep_at) kernel_now += sleep_ticks;
  is_fresh = 1;
}

int main(void) {
  slots = next_number();
  uint32_t start = next_number();
  start |= next_number() << 16;
  sleep_at = next_number();
  sleep_ticks = next_number();
  task_count = (int)next_number();
  if (task_count > MOST_TASKS) return 2;
  for (int i = 0; i < task_count; i++) {
    tasks[i].job = show;
    tasks[i].priority = next_number();
    tasks[i].period = next_number();
    tasks[i].due = start + next_number();
    length[i] = next_number();
  }
  kernel_start(CYCLES_OF_A_SLOT, start);
}
