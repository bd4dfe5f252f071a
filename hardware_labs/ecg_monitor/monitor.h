/* The monitor: samples in, lines on the serial port out. It knows no board and no interpreter: a
   model.h gives it the model, print.h the serial port. */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdint.h>

void monitor_start(void);

/* Take the next sample, and whether the front end says that an electrode has come off. */
void monitor_add(int16_t sample, int lead_off);

/* So many samples were lost because they were not taken in time: what was begun is discarded. */
void monitor_lost(uint32_t samples);

/* No sample came when one was due: no prediction from here on, until samples come again. */
void monitor_stopped(void);

#endif
