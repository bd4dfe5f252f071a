/* Runs a compiled model on windows from the sensor until it stops; prints each output as a line.
   With WITHOUT_MODEL it is the same firmware without one, to tell how much room the model takes. */
#include "hal.h"
#include "print.h"

#ifdef WITHOUT_MODEL
#define MODEL_INPUT_SIZE 1
#define MODEL_OUTPUT_SIZE 1
static int8_t window[1];
static int8_t *model_input(void) { return window; }
static void model_invoke(void) {}
static const int8_t *model_output(void) { return window; }
#else
#include "model.h"
#endif

/* Fill the model's input. Return how many values came. */
static int fill(int8_t *input) {
  int16_t sample;
  int count = 0;
  while (count < MODEL_INPUT_SIZE && hal_sense(&sample)) input[count++] = (int8_t)sample;
  return count;
}

int main(void) {
  int count;
  while ((count = fill(model_input())) == MODEL_INPUT_SIZE) {
    model_invoke();
    const int8_t *output = model_output();
    for (int i = 0; i < MODEL_OUTPUT_SIZE; i++) {
      if (i) print(" ");
      print_int(output[i]);
    }
    print("\n");
  }
  if (count) print("the sensor stopped within a window\n");
  return count ? 1 : 0;
}
