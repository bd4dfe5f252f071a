/* Cuts windows where they cannot be whole; prints 1 for each that was refused as incomplete. */
#include "hal.h"
#include "model.h"
#include "print.h"
#include "window.h"

static void cut(uint32_t ago) { print_int(window_cut(ago, model_input()) == WINDOW_INCOMPLETE); }

int main(void) {
  window_start();
  cut(WINDOW_AFTER); /* nothing has come yet */
  for (int i = 0; i < 255; i++) window_add((int16_t)(100 * (i % 7)));
  cut(WINDOW_AFTER); /* one sample is missing at the start */
  window_add(0);
  cut(WINDOW_AFTER);     /* whole */
  cut(WINDOW_AFTER - 1); /* one sample is missing at the end */
  cut(WINDOW_AFTER + 1);
  for (int i = 0; i < 5000; i++) window_add((int16_t)(100 * (i % 7)));
  cut(2047 - WINDOW_BEFORE); /* the oldest window that is kept */
  cut(2048 - WINDOW_BEFORE);
  cut(0xFFFFFFFFu);
  return 0;
}
