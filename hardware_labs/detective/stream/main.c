/* Samples come by DMA into a ring of two halves, 64 samples each, whether anybody looks or not.
   For each half prints the mean without outliers: values far from the mean are left out, and the
   mean is taken anew, nearer each time. */
#include "hal.h"
#include "print.h"
#include "registers.h"
#include "string.h"

/* DMA2, stream 0. Source of the registers: ST's reference manual RM0090, 10.5. */
#define DMA_LISR 0x40026400u
#define DMA_LIFCR 0x40026408u
#define DMA_S0CR 0x40026410u
#define DMA_S0NDTR 0x40026414u
#define DMA_S0M0AR 0x4002641Cu
#define HALF_DONE (1u << 4)
#define ALL_DONE (1u << 5)

#define HALF 64
#define FAR 256
#define PATIENCE_HALF 20000

static volatile int16_t ring[2 * HALF];

/* The mean of the values that are at most so far from the middle; the middle if there are none. */
static int32_t mean_near(const volatile int16_t *values, int32_t middle, int32_t far) {
  int32_t sum = 0, count = 0;
  for (int i = 0; i < HALF; i++) {
    int32_t away = values[i] > middle ? values[i] - middle : middle - values[i];
    if (away > far) continue;
    sum += values[i];
    count++;
  }
  return count ? sum / count : middle;
}

static int32_t spread(const volatile int16_t *values) {
  int32_t lowest = values[0], highest = values[0];
  for (int i = 1; i < HALF; i++) {
    int32_t value = values[i];
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  return highest - lowest;
}

static int32_t mean_without_outliers(const volatile int16_t *values) {
  int32_t mean = mean_near(values, 0, 65536);
  for (int32_t far = spread(values); far > FAR;) {
    far = far * 9 / 10;
    mean = mean_near(values, mean, far);
  }
  return mean;
}

static int wait_for_half(uint32_t flag) {
  for (int tries = 0; tries < PATIENCE_HALF; tries++) {
    if (REGISTER(DMA_LISR) & flag) {
      REGISTER(DMA_LIFCR) = flag;
      return 1;
    }
  }
  return 0;
}

static void start_stream(void) {
  REGISTER(DMA_S0M0AR) = (uint32_t)ring;
  REGISTER(DMA_S0NDTR) = 2 * HALF;
  REGISTER(DMA_S0CR) = 1u << 13 | 1u << 11 | 1u << 10 | 1u << 8 | 1u; /* 16 bits, circular, on */
}

int main(void) {
  start_stream();
  for (int half = 0; wait_for_half(half ? ALL_DONE : HALF_DONE); half ^= 1) {
    print_int(mean_without_outliers(ring + half * HALF));
    print("\n");
  }
  return 0;
}
