/* Raw windows from the sensor, one after the other: normalised by the monitor's own window.c, run
   through the model; prints each output as a line, or "flat". */
#include "hal.h"
#include "model.h"
#include "print.h"
#include "window.h"

static int16_t samples[WINDOW];

static int fill(void) {
  uint32_t count = 0;
  while (count < WINDOW && hal_sense(&samples[count])) count++;
  return count == WINDOW;
}

int main(void) {
  while (fill()) {
    if (window_normalise(samples, model_input()) == WINDOW_FLAT) {
      print("flat\n");
      continue;
    }
    model_invoke();
    for (int i = 0; i < MODEL_OUTPUT_SIZE; i++) {
      print_int(model_output()[i]);
      print(i < MODEL_OUTPUT_SIZE - 1 ? " " : "\n");
    }
  }
  return 0;
}
