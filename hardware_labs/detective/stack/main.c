/* Prints the median of each window of 512 samples, and keeps a day's beats in an archive.
   The archive is written once, at the start; its sum is printed at the end. */
#include "hal.h"
#include "print.h"
#include "string.h"

#define WINDOW 512
#define ARCHIVE 59000

static int16_t window[WINDOW];
static int16_t sorted[WINDOW];
static int16_t archive[ARCHIVE];

static void swap(int16_t *a, int16_t *b) {
  int16_t kept = *a;
  *a = *b;
  *b = kept;
}

/* Put what is at most as large as the last value before it; return its place. */
static int divide(int16_t *values, int low, int high) {
  int place = low;
  for (int i = low; i < high; i++)
    if (values[i] <= values[high]) swap(&values[i], &values[place++]);
  swap(&values[place], &values[high]);
  return place;
}

static void sort(int16_t *values, int low, int high) {
  if (low >= high) return;
  int place = divide(values, low, high);
  sort(values, low, place - 1);
  sort(values, place + 1, high);
}

static int16_t median(void) {
  memcpy(sorted, window, sizeof window);
  sort(sorted, 0, WINDOW - 1);
  return sorted[WINDOW / 2];
}

static int fill(void) {
  int count = 0;
  while (count < WINDOW && hal_sense(&window[count])) count++;
  return count;
}

static void write_archive(void) {
  for (int i = 0; i < ARCHIVE; i++) archive[i] = (int16_t)(i * 7);
}

static int32_t sum_of_archive(void) {
  int32_t sum = 0;
  for (int i = 0; i < ARCHIVE; i++) sum += archive[i];
  return sum;
}

int main(void) {
  write_archive();
  while (fill() == WINDOW) {
    print_int(median());
    print("\n");
  }
  print("archive ");
  print_int(sum_of_archive());
  print("\n");
  return 0;
}
