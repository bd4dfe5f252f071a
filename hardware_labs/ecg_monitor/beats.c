/* Beats by slope, width and height of the QRS complex, after Pan and Tompkins, "A real-time QRS
   detection algorithm", IEEE Transactions on Biomedical Engineering 32(3), 1985. Integers alone.
   Their filters, made for 200 Hz, keep their lengths in seconds. Left out: their second set of
   thresholds on the filtered signal, and their average of regular intervals alone. */
#include "beats.h"

#include "string.h"

#define LOW 11u        /* moving sum, twice: low-pass, nothing passes at 33 Hz */
#define HIGH 57u       /* 160 ms, whose moving mean is taken away: high-pass at 5 Hz */
#define WIDTH 54u      /* 150 ms, as long as the widest QRS complex: moving sum of squares */
#define FILTER_DELAY (LOW - 1 + HIGH / 2)
#define SLOPE_DELAY 4u /* half the span of the slope */
#define HISTORY 256u   /* filtered samples and squares kept, to look back at */

#define REFRACTORY SAMPLES_OF_MS(200) /* no heart beats again so soon */
#define T_WAVE SAMPLES_OF_MS(360)     /* so soon after a beat a flatter peak is its T wave */
#define FALLING SAMPLES_OF_MS(95)     /* a peak that is not passed by then counts */
#define INTERVALS 8u

typedef struct {
  uint32_t height, at; /* of the moving sum of squares */
  uint32_t steepest;   /* largest square in it */
  uint32_t r;          /* when R was: in samples of the sensor */
} Peak;

static struct {
  uint32_t now;
  int32_t base; /* first sample: filters begin at rest */
  int32_t low1[LOW], low2[LOW], high[HIGH], filtered[HISTORY];
  int32_t sum1, sum2, sum_high;
  uint32_t squares[HISTORY], sum_squares, last_sum;

  Peak rising, waiting, overlooked, beat; /* height 0: there is none */
  uint32_t signal, noise;                 /* running estimates of heights of peaks */
  uint32_t learned_most, learned_mean;
  uint32_t intervals[INTERVALS], interval_count;
} s;

void beats_start(void) { memset(&s, 0, sizeof s); }

static int32_t moving_sum(int32_t *ring, uint32_t size, int32_t *sum, int32_t value) {
  int32_t *oldest = &ring[s.now % size];
  *sum += value - *oldest;
  *oldest = value;
  return *sum;
}

static int32_t band_pass(int32_t sample) {
  int32_t low = moving_sum(s.low1, LOW, &s.sum1, sample);
  low = moving_sum(s.low2, LOW, &s.sum2, low);
  int32_t mean = moving_sum(s.high, HIGH, &s.sum_high, low) / (int32_t)HIGH;
  return s.high[(s.now + HIGH - HIGH / 2) % HIGH] - mean;
}

static int32_t filtered(uint32_t at) { return s.filtered[at % HISTORY]; }

static uint32_t square_of_slope(void) {
  uint32_t n = s.now;
  int32_t slope = 2 * (filtered(n) - filtered(n - 8)) + filtered(n - 2) - filtered(n - 6);
  uint32_t size = (uint32_t)(slope < 0 ? -slope : slope) >> 4;
  if (size > 0xFFFF) size = 0xFFFF;
  return size * size >> 6; /* WIDTH of them fit into 32 bits */
}

static uint32_t sum_of_squares(uint32_t square) {
  s.squares[s.now % HISTORY] = square;
  s.sum_squares += square - s.squares[(s.now - WIDTH) % HISTORY];
  return s.sum_squares;
}

static uint32_t steepest_at(uint32_t at) {
  uint32_t most = 0;
  for (uint32_t i = 0; i < WIDTH; i++) {
    uint32_t square = s.squares[(at - i) % HISTORY];
    if (square > most) most = square;
  }
  return most;
}

/* R is the largest deflection of the filtered signal under the moving sum that peaked. */
static uint32_t r_of(uint32_t at) {
  uint32_t last = at - SLOPE_DELAY, r = last;
  int32_t most = -1;
  for (uint32_t i = 0; i <= WIDTH; i++) {
    int32_t value = filtered(last - i);
    if (value < 0) value = -value;
    if (value > most) most = value, r = last - i;
  }
  return r - FILTER_DELAY;
}

/* Follow the moving sum over its next peak. Return 1 when that has been passed. */
static int passed_peak(uint32_t sum, Peak *peak) {
  int rises = sum > s.last_sum;
  s.last_sum = sum;
  if (rises && sum > s.rising.height) {
    s.rising.height = sum;
    s.rising.at = s.now;
    return 0;
  }
  if (!s.rising.height) return 0;
  if (sum >= s.rising.height / 2 && s.now - s.rising.at < FALLING) return 0;
  *peak = s.rising;
  peak->steepest = steepest_at(peak->at);
  peak->r = r_of(peak->at);
  s.rising.height = 0;
  return 1;
}

static uint32_t threshold(void) {
  return s.signal > s.noise ? s.noise + (s.signal - s.noise) / 4 : s.noise;
}

static uint32_t usual_interval(void) {
  uint32_t sum = 0, count = s.interval_count < INTERVALS ? s.interval_count : INTERVALS;
  for (uint32_t i = 0; i < count; i++) sum += s.intervals[i];
  return count ? sum / count : SAMPLE_RATE;
}

/* One beat of enormous size must not hide the ones after it. */
static uint32_t towards(uint32_t estimate, uint32_t height, uint32_t shares) {
  if (estimate && height / 4 > estimate) height = 4 * estimate;
  return estimate - estimate / shares + height / shares;
}

static uint32_t take_beat(const Peak *peak, uint32_t shares) {
  if (s.beat.height) s.intervals[s.interval_count++ % INTERVALS] = peak->r - s.beat.r;
  s.signal = towards(s.signal, peak->height, shares);
  s.beat = *peak;
  s.overlooked.height = 0;
  return s.now - peak->r;
}

static int is_t_wave(const Peak *peak) {
  return s.beat.height && peak->at - s.beat.at < T_WAVE && peak->steepest < s.beat.steepest / 4;
}

/* Tell a peak's worth once no larger one can follow within the refractory period. */
static uint32_t judge(const Peak *peak) {
  if (s.beat.height && peak->at - s.beat.at < REFRACTORY) return 0;
  if (peak->height > threshold() && !is_t_wave(peak)) return take_beat(peak, 8);
  if (!is_t_wave(peak) && peak->height > s.overlooked.height) s.overlooked = *peak;
  s.noise = towards(s.noise, peak->height, 8);
  return 0;
}

/* A beat is overdue: take the largest peak since the last one, if half the threshold lets it. */
static uint32_t search_back(void) {
  if (!s.beat.height || !s.overlooked.height) return 0;
  if (s.now - s.beat.at < usual_interval() * 5 / 3 + REFRACTORY) return 0;
  if (s.overlooked.height <= threshold() / 2) return 0;
  Peak peak = s.overlooked;
  return take_beat(&peak, 4);
}

static void learn(uint32_t sum) {
  s.learned_mean += sum / BEATS_LEARN;
  if (sum > s.learned_most) s.learned_most = sum;
  s.signal = s.learned_most / 3;
  s.noise = s.learned_mean / 2;
}

uint32_t beats_add(int16_t sample) {
  Peak peak;
  uint32_t found = 0;
  if (!s.now) s.base = sample;
  s.now++;
  int32_t value = band_pass(sample - s.base);
  s.filtered[s.now % HISTORY] = value;
  uint32_t sum = sum_of_squares(square_of_slope());
  int passed = passed_peak(sum, &peak);
  if (s.now < BEATS_LEARN) {
    learn(sum);
    return 0;
  }
  if (passed && peak.height > s.waiting.height) s.waiting = peak;
  if (s.waiting.height && s.now - s.waiting.at >= REFRACTORY) {
    found = judge(&s.waiting);
    s.waiting.height = 0;
  }
  return found ? found : search_back();
}
