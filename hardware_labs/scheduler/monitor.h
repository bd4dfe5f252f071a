/* What the tasks of the monitor share. */
#ifndef MONITOR_H
#define MONITOR_H

#include "kernel.h"
#include "network.h"

/* The last NETWORK_INPUTS samples, the newest last. The sampler moves them at each tick. */
extern int8_t window[NETWORK_INPUTS];
/* How many samples have come so far: the window ends with number `samples`. */
extern uint32_t samples;

/* The network's last output, and the value of `samples` that belonged to its window. The alarm
   task sends both to the nurse. */
extern struct latest {
  uint32_t samples;
  int8_t scores[NETWORK_OUTPUTS];
} latest;

/* One job of the least urgent task: let the network judge the window, and put the result into
   `latest`. */
void infer(void);

#endif
