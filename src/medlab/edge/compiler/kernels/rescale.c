/* From an accumulator to int8. The specification rounds twice: s = round(2 a m / 2^32), then
 * s / 2^right with halves away from zero, then adds the output's zero point z. For s >= 0
 *     floor((s + 2^(right-1)) / 2^right) + z = floor(floor((s + (2z + 1) 2^shift) / 2^shift) / 2)
 * with shift = right - 1; a negative s takes one more off first. Where a ReLU sends every negative s to
 * z anyway, that step falls away. The compiler has proved that twice the accumulator fits 32 bits,
 * and that right is at least 1. */
static inline int32_t rescale(int32_t doubled, int32_t multiplier, int32_t shift, int32_t rounding,
                              int32_t relu)
{
    int32_t scaled;
    if (relu) {
        scaled = multiply_high(doubled, multiplier, rounding);
    } else {
        scaled = multiply_high(doubled, multiplier, 0);
        scaled += rounding + (scaled >> 31);
    }
    return saturated_half(scaled >> shift);
}

/* The output range of a fused activation that is narrower than int8. */
static ALONE void clamp(int8_t *values, int32_t count, int32_t low, int32_t high)
{
    for (; count > 0; count--, values++)
        *values = (int8_t)at_most(at_least(*values, low), high);
}
