/* A window is normalised by its mean and mean absolute deviation, so that neither gain nor offset
   of the sensor matters: 8 steps of int8 are one mean absolute deviation. */
#include "window.h"

#define KEPT 2048u /* a beat that was overlooked is found up to two seconds later */
#define LEAST_SPREAD (3u * WINDOW)

static int16_t kept[KEPT];
static uint32_t count; /* samples since the start, at most KEPT */
static uint32_t next;

void window_start(void) { count = next = 0; }

void window_add(int16_t sample) {
  kept[next++ % KEPT] = sample;
  if (count < KEPT) count++;
}

static int32_t mean_of(const int16_t *samples) {
  int32_t sum = WINDOW / 2;
  for (uint32_t i = 0; i < WINDOW; i++) sum += samples[i];
  return sum >> 8;
}

static uint32_t distance(int32_t a, int32_t b) { return (uint32_t)(a < b ? b - a : a - b); }

/* Eight mean absolute deviations, rounded half away from zero; distance is 65535 at most. */
static int8_t quantised(int32_t value, int32_t mean, uint32_t spread) {
  uint32_t size = (4096u * distance(value, mean) + spread) / (2u * spread);
  if (value < mean) return (int8_t)(size > 128 ? -128 : -(int32_t)size);
  return (int8_t)(size > 127 ? 127 : size);
}

WindowState window_normalise(const int16_t *samples, int8_t *out) {
  int32_t mean = mean_of(samples);
  uint32_t spread = 0;
  for (uint32_t i = 0; i < WINDOW; i++) spread += distance(samples[i], mean);
  if (spread < LEAST_SPREAD) return WINDOW_FLAT;
  for (uint32_t i = 0; i < WINDOW; i++) out[i] = quantised(samples[i], mean, spread);
  return WINDOW_WHOLE;
}

WindowState window_cut(uint32_t ago, int8_t *out) {
  static int16_t cut[WINDOW];
  if (ago < WINDOW_AFTER || ago >= count || ago + WINDOW_BEFORE >= count) return WINDOW_INCOMPLETE;
  uint32_t first = next - 1 - ago - WINDOW_BEFORE;
  for (uint32_t i = 0; i < WINDOW; i++) cut[i] = kept[(first + i) % KEPT];
  return window_normalise(cut, out);
}
