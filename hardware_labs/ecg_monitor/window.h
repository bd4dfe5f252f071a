/* The last samples of the sensor, and the model's input cut out of them. */
#ifndef WINDOW_H
#define WINDOW_H

#include <stdint.h>

#define WINDOW 256u       /* samples of a window */
#define WINDOW_BEFORE 160u /* of them before R */
#define WINDOW_AFTER (WINDOW - 1 - WINDOW_BEFORE)

typedef enum { WINDOW_WHOLE, WINDOW_INCOMPLETE, WINDOW_FLAT } WindowState;

/* Forget all samples. */
void window_start(void);

/* Keep the next sample. */
void window_add(int16_t sample);

/* Write the window whose R is so many samples ago, normalised, as int8 of scale 1/8. Only a
   WINDOW_WHOLE one is written. */
WindowState window_cut(uint32_t ago, int8_t *out);

/* Normalise WINDOW samples. Return WINDOW_WHOLE or WINDOW_FLAT. */
WindowState window_normalise(const int16_t *samples, int8_t *out);

#endif
