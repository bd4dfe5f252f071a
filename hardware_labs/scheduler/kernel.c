/* Source of the registers and of what the core does at an exception: Armv7-M Architecture Reference
   Manual, B1.5 and B3.2. */
#include "kernel.h"

#include "exit.h"
#include "registers.h"
#include "systick.h"

#define SYST_CSR 0xE000E010u
#define ICSR 0xE000ED04u
#define SHPR3 0xE000ED20u

#define TICKINT 2u
#define PENDSVSET (1u << 28)
#define PENDSV_LOWEST (0xF0u << 16)
#define SYSTICK_MIDDLE (0x20u << 24)
#define STACK_WORDS 256
#define THUMB (1u << 24)
#define RETURN_TO_TASK 0xFFFFFFFDu /* thread mode, its own stack, no floating-point registers */

volatile uint32_t kernel_now;
static uint32_t stacks[MOST_TASKS + 1][STACK_WORDS] __attribute__((aligned(8)));
static Task idle;
static Task *running;

__attribute__((weak)) void on_tick(void) {}
__attribute__((weak)) void on_end_of_job(int task) { (void)task; }
__attribute__((weak)) void on_idle(void) {}

static void ask_for_switch(void) { REGISTER(ICSR) = PENDSVSET; }

int kernel_running(void) { return running == &idle ? IDLE : (int)(running - tasks); }

void kernel_release(int task) {
  uint32_t masked;
  __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(masked)::"memory");
  tasks[task].jobs++;
  __asm volatile("msr primask, %0" ::"r"(masked) : "memory");
  ask_for_switch();
}

void SysTick_Handler(void) {
  kernel_now++;
  on_tick();
  release_due(kernel_now);
  ask_for_switch();
}

/* Called by PendSV_Handler: note where the old task's registers lie, return where the next one's. */
__attribute__((used)) uint32_t *kernel_switch(uint32_t *stack) {
  running->stack = stack;
  int next = pick_next();
  if (next < IDLE || next >= task_count) exit_with(PICKED_NO_TASK);
  if (next != IDLE && !tasks[next].jobs) exit_with(PICKED_WITHOUT_JOB);
  running = next == IDLE ? &idle : &tasks[next];
  return running->stack;
}

/* The core has saved r0-r3, r12, lr, pc and xPSR on the task's own stack, and s0-s15 if the task
   used them. The rest is saved here. Bit 4 of lr shows whether the task used the floating-point
   registers: 0 means that it did. */
__attribute__((naked)) void PendSV_Handler(void) {
  __asm volatile(
      "mrs r0, psp\n\t"            /* the task's stack pointer */
      "tst lr, #16\n\t"            /* floating-point registers in use? */
      "it eq\n\t"                  /*   if so, */
      "vstmdbeq r0!, {s16-s31}\n\t" /*  save the second half of them */
      "stmdb r0!, {r4-r11, lr}\n\t" /* save the rest, and how to return */
      "bl kernel_switch\n\t"       /* r0: old stack in, new stack out */
      "ldmia r0!, {r4-r11, lr}\n\t" /* the same way back, for the next task */
      "tst lr, #16\n\t"
      "it eq\n\t"
      "vldmiaeq r0!, {s16-s31}\n\t"
      "msr psp, r0\n\t"
      "bx lr");                    /* the core takes the rest from that stack */
}

/* A switch may come right after the count: whatever else is to be done comes before it. */
static void finish(int self) {
  on_end_of_job(self);
  kernel_lock();
  tasks[self].jobs--;
  kernel_unlock();
  ask_for_switch();
  __asm volatile("isb");
}

static void live(void) {
  int self = kernel_running();
  for (;;) {
    tasks[self].job();
    finish(self);
  }
}

__attribute__((used)) void kernel_idle(void) {
  for (;;) {
    on_idle();
    __asm volatile("wfi");
  }
}

/* Lay out a stack as if the task had just been interrupted before its first instruction. */
static uint32_t *first_stack(uint32_t *stack, void (*code)(void)) {
  uint32_t *top = stack + STACK_WORDS;
  *--top = THUMB;
  *--top = (uint32_t)code & ~1u;
  for (int i = 0; i < 6; i++) *--top = 0; /* lr, r12, r3-r0 */
  *--top = RETURN_TO_TASK;
  for (int i = 0; i < 8; i++) *--top = 0; /* r11-r4 */
  return top;
}

void kernel_start(uint32_t cycles, uint32_t start) {
  kernel_lock();
  for (int i = 0; i < task_count; i++) tasks[i].stack = first_stack(stacks[i], live);
  running = &idle;
  kernel_now = start;
  release_due(start);
  REGISTER(SHPR3) = PENDSV_LOWEST | SYSTICK_MIDDLE;
  systick_start(cycles);
  REGISTER(SYST_CSR) |= TICKINT;
  ask_for_switch();
  /* From here on this is the idle task, on a stack of its own. */
  __asm volatile(
      "msr psp, %0\n\t"
      "msr control, %1\n\t"
      "isb\n\t"
      "cpsie i\n\t"
      "isb\n\t"
      "b kernel_idle" ::"r"(stacks[MOST_TASKS] + STACK_WORDS),
      "r"(2)
      : "memory");
  __builtin_unreachable();
}
