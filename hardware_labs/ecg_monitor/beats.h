/* Finds heart beats in samples as they come. */
#ifndef BEATS_H
#define BEATS_H

#include <stdint.h>

#define SAMPLE_RATE 360u   /* Hz; every length in beats.c is made for it */
#define SAMPLES_OF_MS(ms) ((ms) * SAMPLE_RATE / 1000u)
#define BEATS_LEARN SAMPLES_OF_MS(2000)

/* Forget everything. BEATS_LEARN samples from here on only teach the thresholds. */
void beats_start(void);

/* Take the next sample. Return how many samples ago the R peak of a beat was that has been
   recognised now, or 0. Beats come in order, some 0.4 s late; one that was overlooked at first
   comes when the next is overdue, up to two seconds late. */
uint32_t beats_add(int16_t sample);

#endif
