/* Lines that are printed, one thing each; the number is that of the sensor's sample, from 0:
     beat 4321 N rr 812 ms rate 74 confidence 98 %
     beat 4321 none: noise            a beat that cannot be judged: no prediction
     alarm 4400 noise                 from here on nothing is judged
     clear 4900                       the signal is back; the thresholds learn for two seconds
   A beat's line comes half a second after its R peak: what follows a window must have been seen to
   be sound as well. */
#include "monitor.h"

#include "beats.h"
#include "model.h"
#include "print.h"
#include "quality.h"
#include "string.h"
#include "window.h"

_Static_assert(MODEL_INPUT_SIZE == WINDOW, "the model's window is not the monitor's 256 samples");
_Static_assert(MODEL_OUTPUT_SIZE == 4, "the model's classes are not the monitor's four: N S V F");

#define WAITING 8u
#define JUDGED_AFTER (WINDOW_AFTER + QUALITY_BLOCK)
#define CLEAR_BLOCKS 4u                   /* so many good ones in a row end an alarm: one second */
#define TOO_QUIET ((int32_t)SAMPLES_OF_MS(3000))

/* One step of the model's output, in 65536ths of a percent: no floats at run time, so that an
   interrupt has none to save. */
#define PERCENT ((uint32_t)(MODEL_OUTPUT_SCALE * 100 * 65536 + 0.5f))

static const char classes[] = "NSVF";

static struct {
  uint32_t now; /* samples so far */
  uint32_t waiting[WAITING], count; /* R of beats without a line yet, in order */
  uint32_t last_r;
  uint32_t quiet_since; /* the last beat, or the end of learning, which may lie ahead */
  uint8_t has_last, is_alarmed, is_quiet, is_stopped;
  Quality reported; /* by the alarm */
  uint32_t good_blocks;
} s;

static void start_again(void) {
  beats_start();
  s.quiet_since = s.now + BEATS_LEARN;
  s.has_last = 0;
}

void monitor_start(void) {
  memset(&s, 0, sizeof s);
  window_start();
  quality_start();
  start_again();
  print("ecg monitor, 360 samples a second; for learning, not a medical device\n");
}

static void say(const char *what, uint32_t sample, const char *why) {
  print(what);
  print_unsigned(sample);
  print(why);
}

static void say_interval(uint32_t r) {
  uint32_t interval = r - s.last_r;
  if (!s.has_last || !interval) {
    print(" rr - rate -");
    return;
  }
  say(" rr ", (interval * 1000 + SAMPLE_RATE / 2) / SAMPLE_RATE, " ms rate ");
  print_unsigned((60 * SAMPLE_RATE + interval / 2) / interval);
}

static int best_of(const int8_t *output) {
  int best = 0;
  for (int i = 1; i < MODEL_OUTPUT_SIZE; i++) best = output[i] > output[best] ? i : best;
  return best;
}

static void predict(uint32_t r) {
  model_invoke();
  const int8_t *output = model_output();
  int best = best_of(output);
  uint32_t steps = (uint32_t)(output[best] - MODEL_OUTPUT_ZERO_POINT);
  const char name[] = {' ', classes[best], 0};
  say("beat ", r, name);
  say_interval(r);
  say(" confidence ", (steps * PERCENT + 0x8000) >> 16, " %\n");
}

static void refuse(uint32_t r, const char *why) {
  say("beat ", r, " none: ");
  print(why);
  print("\n");
}

/* Predict, or say why not. */
static void answer(uint32_t r) {
  uint32_t ago = s.now - 1 - r;
  WindowState window = window_cut(ago, model_input());
  if (window == WINDOW_INCOMPLETE) {
    refuse(r, "window incomplete");
  } else {
    Quality quality = quality_between(ago + WINDOW_BEFORE, ago - WINDOW_AFTER);
    if (quality == GOOD && window == WINDOW_FLAT) quality = FLAT;
    if (quality == GOOD) predict(r);
    else refuse(r, quality_name(quality));
  }
  s.last_r = r;
  s.has_last = 1;
}

static void answer_first(void) {
  uint32_t r = s.waiting[0];
  s.count--;
  for (uint32_t i = 0; i < s.count; i++) s.waiting[i] = s.waiting[i + 1];
  answer(r);
}

static void take_beat(uint32_t ago) {
  if (s.count == WAITING) answer_first();
  s.waiting[s.count++] = s.now - 1 - ago;
  s.quiet_since = s.now;
  if (s.is_quiet) say("clear ", s.now - 1, "\n");
  s.is_quiet = 0;
}

static void alarm(uint32_t sample, const char *why) {
  say("alarm ", sample, " ");
  print(why);
  print("\n");
}

/* At the end of a block: has the signal become bad, or good again? */
static void watch_quality(void) {
  Quality quality = quality_between(QUALITY_BLOCK - 1, 0);
  s.good_blocks = quality == GOOD ? s.good_blocks + 1 : 0;
  if (quality > (s.is_alarmed ? s.reported : GOOD)) {
    alarm(s.now - QUALITY_BLOCK, quality_name(quality));
    s.reported = quality;
    s.is_alarmed = 1;
    s.is_quiet = 0;
  } else if (s.is_alarmed && s.good_blocks == CLEAR_BLOCKS) {
    say("clear ", s.now - 1, "\n");
    s.is_alarmed = 0;
    start_again();
  }
}

/* The thresholds may have been led astray by one large movement: let them learn again. */
static void watch_silence(void) {
  if ((int32_t)(s.now - s.quiet_since) < TOO_QUIET) return;
  if (!s.is_quiet) alarm(s.now - 1, "no beat for three seconds");
  start_again();
  s.is_quiet = 1;
}

void monitor_add(int16_t sample, int lead_off) {
  s.is_stopped = 0;
  window_add(sample);
  int is_block = quality_add(sample, lead_off);
  s.now++;
  uint32_t ago = s.is_alarmed ? 0 : beats_add(sample);
  if (ago) take_beat(ago);
  if (is_block) watch_quality();
  if (!s.is_alarmed) watch_silence();
  if (s.count && s.now - 1 - s.waiting[0] >= JUDGED_AFTER) answer_first();
}

/* Nothing from before a gap may be joined to what comes after it. */
static void forget(const char *why) {
  while (s.count) {
    refuse(s.waiting[0], why);
    s.count--;
    for (uint32_t i = 0; i < s.count; i++) s.waiting[i] = s.waiting[i + 1];
  }
  alarm(s.now, why);
  window_start();
  start_again();
  s.is_alarmed = 1;
  s.reported = GOOD;
  s.good_blocks = 0;
}

void monitor_lost(uint32_t samples) {
  forget("samples lost");
  s.now += samples;
}

void monitor_stopped(void) {
  if (!s.is_stopped) forget("sensor stopped");
  s.is_stopped = 1;
}
