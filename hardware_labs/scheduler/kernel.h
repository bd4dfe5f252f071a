/* A small preemptive kernel with fixed priorities. SysTick keeps the time, PendSV changes tasks.

   A task is a function that does one job and returns; the kernel calls it once for every release.
   Which task runs next, and which are released at a tick, is decided by two functions that this
   folder does not hold: the unit scheduling-inference asks for them. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>

typedef struct {
  uint32_t *stack;        /* where its registers lie while it waits */
  void (*job)(void);      /* does one job */
  uint32_t priority;      /* 0 is the most urgent */
  uint32_t period;        /* ticks between two releases; 0: time does not release it */
  uint32_t due;           /* the tick of its next release */
  volatile uint32_t jobs; /* released and not yet finished */
} Task;

#define MOST_TASKS 8
#define IDLE (-1)

/* The application's. */
extern Task tasks[MOST_TASKS];
extern int task_count;

/* Return the index of the task that shall run now, or IDLE. */
int pick_next(void);
/* Release the tasks that are due at a tick. The tick counter wraps after 2^32. */
void release_due(uint32_t now);

/* Start all tasks; a tick comes every so many cycles, the first tick is number start. */
void kernel_start(uint32_t cycles, uint32_t start) __attribute__((noreturn));
/* Release one job of a task, from a handler or from another task. */
void kernel_release(int task);
/* The index of the running task, or IDLE. */
int kernel_running(void);
/* The number of the last tick. */
extern volatile uint32_t kernel_now;

/* Between the two, no handler and no other task runs. They do not nest. */
static inline void kernel_lock(void) { __asm volatile("cpsid i" ::: "memory"); }
static inline void kernel_unlock(void) { __asm volatile("cpsie i\n\tisb" ::: "memory"); }

/* An application may have its own: called at each tick before tasks are released, when a job has
   ended, and over and over while nothing is to be done. */
void on_tick(void);
void on_end_of_job(int task);
void on_idle(void);

/* Exit statuses of a kernel that was given something impossible. */
#define PICKED_NO_TASK 101     /* pick_next returned an index that no task has */
#define PICKED_WITHOUT_JOB 102 /* pick_next returned a task that has nothing to do */

#endif
