/* Runs kernels on cases from the sensor until it stops; prints the results of a case as a line.

   A case is a row of samples. Numbers of 32 bits take two samples, the low half first. `place` is
   how far the values begin behind a multiple of 4, so that kernels meet every alignment.
     1, sum (2), multiplier (2), shift, zero
     2, count, zero, place, count values, place, count values
     3, height, width, channels, input_zero, output_zero, place, input, place, weights,
        biases (2 each), multipliers (2 each), shifts (2 each), place of the output
   Case 3 first prints how many bytes beside its output have changed: 0, unless something is wrong. */
#include "hal.h"
#include "kernels.h"
#include "print.h"

#define MOST_VALUES 4096
#define MOST_CHANNELS 64
#define MARGIN 16

/* A kernel that is not linked in is not called: its address is 0. */
__attribute__((weak)) int8_t requantise(int32_t sum, int32_t multiplier, int shift, int32_t zero);
__attribute__((weak)) int32_t dot(const int8_t *a, const int8_t *b, int count, int32_t zero);
__attribute__((weak)) void depthwise(const Layer *layer, int8_t *output);

static int8_t rooms[3][MOST_VALUES + 2 * MARGIN] __attribute__((aligned(4)));
static int32_t words[3][MOST_CHANNELS];

static int32_t next(void) {
  int16_t sample = 0;
  hal_sense(&sample);
  return sample;
}

static int32_t next_word(void) {
  uint32_t low = (uint16_t)next();
  return (int32_t)(low | (uint32_t)next() << 16);
}

/* What stands in a room before values are put there: a kernel that reads too far gets this. */
static int8_t noise(int at) { return (int8_t)(at * 37 + 11); }

static int8_t *take_values(int room, int count) {
  int8_t *start = rooms[room] + MARGIN + next();
  for (int i = 0; i < (int)sizeof rooms[room]; i++) rooms[room][i] = noise(i);
  for (int i = 0; i < count; i++) start[i] = (int8_t)next();
  return start;
}

static const int32_t *take_words(int row, int count) {
  for (int i = 0; i < count; i++) words[row][i] = next_word();
  return words[row];
}

static void tell(int32_t value) {
  print_int(value);
  print(" ");
}

static void case_requantise(void) {
  int32_t sum = next_word(), multiplier = next_word(), shift = next(), zero = next();
  tell(requantise(sum, multiplier, shift, zero));
}

static void case_dot(void) {
  int32_t count = next(), zero = next();
  const int8_t *a = take_values(0, count), *b = take_values(1, count);
  tell(dot(a, b, count, zero));
}

static int changed_beside(const int8_t *output, int size) {
  int changed = 0;
  for (int i = 0; i < (int)sizeof rooms[2]; i++) {
    int at = i - (int)(output - rooms[2]);
    changed += (at < 0 || at >= size) && rooms[2][i] != noise(i);
  }
  return changed;
}

static void case_depthwise(void) {
  Layer layer;
  layer.height = next();
  layer.width = next();
  layer.channels = next();
  layer.input_zero = next();
  layer.output_zero = next();
  int size = layer.height * layer.width * layer.channels;
  layer.input = take_values(0, size);
  layer.weights = take_values(1, 9 * layer.channels);
  layer.bias = take_words(0, layer.channels);
  layer.multiplier = take_words(1, layer.channels);
  layer.shift = take_words(2, layer.channels);
  int8_t *output = take_values(2, 0);
  depthwise(&layer, output);
  tell(changed_beside(output, size));
  for (int i = 0; i < size; i++) tell(output[i]);
}

int main(void) {
  int16_t what;
  while (hal_sense(&what)) {
    if (what == 1 && requantise) case_requantise();
    if (what == 2 && dot) case_dot();
    if (what == 3 && depthwise) case_depthwise();
    print("\n");
  }
  return 0;
}
