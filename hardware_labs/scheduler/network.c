#include "network.h"

#define FILTERS 16
#define TAPS 5
#define STRIDE 2
#define LENGTH ((NETWORK_INPUTS - TAPS) / STRIDE + 1)
#define TAPS_2 3
#define STRIDE_2 2
#define LENGTH_2 ((LENGTH - TAPS_2) / STRIDE_2 + 1)
#define SHIFT 7
#define SHIFT_3 5

static int8_t weights[FILTERS][TAPS];
static int8_t weights_2[FILTERS][TAPS_2][FILTERS];
static int8_t weights_3[NETWORK_OUTPUTS][FILTERS];
static int8_t first[LENGTH][FILTERS];
static int32_t pooled[FILTERS];
static int is_ready;

/* Draw weights from -64 to 63: the high bits of a linear congruential generator. */
static uint32_t draw(int8_t *to, int count, uint32_t state) {
  for (int i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    to[i] = (int8_t)((int32_t)(state >> 25) - 64);
  }
  return state;
}

static void prepare(void) {
  uint32_t state = draw(&weights[0][0], FILTERS * TAPS, 2024);
  state = draw(&weights_2[0][0][0], FILTERS * TAPS_2 * FILTERS, state);
  draw(&weights_3[0][0], NETWORK_OUTPUTS * FILTERS, state);
  is_ready = 1;
}

static int8_t clamp(int32_t value, int32_t least) {
  return (int8_t)(value < least ? least : value > 127 ? 127 : value);
}

static void convolve(const volatile int8_t *input) {
  for (int at = 0; at < LENGTH; at++) {
    for (int f = 0; f < FILTERS; f++) {
      int32_t sum = 0;
      for (int k = 0; k < TAPS; k++) sum += input[at * STRIDE + k] * weights[f][k];
      first[at][f] = clamp(sum >> SHIFT, 0);
    }
  }
}

static void convolve_and_pool(void) {
  for (int f = 0; f < FILTERS; f++) {
    pooled[f] = 0;
    for (int at = 0; at < LENGTH_2; at++) {
      const int8_t *from = first[at * STRIDE_2];
      const int8_t *weight = weights_2[f][0];
      int32_t sum = 0;
      for (int k = 0; k < TAPS_2 * FILTERS; k++) sum += from[k] * weight[k];
      pooled[f] += clamp(sum >> SHIFT, 0);
    }
  }
}

void network(const int8_t *input, int8_t *scores) {
  if (!is_ready) prepare();
  convolve(input);
  convolve_and_pool();
  for (int o = 0; o < NETWORK_OUTPUTS; o++) {
    int32_t sum = 0;
    for (int f = 0; f < FILTERS; f++) sum += pooled[f] / LENGTH_2 * weights_3[o][f];
    scores[o] = clamp(sum >> SHIFT_3, -128);
  }
}
