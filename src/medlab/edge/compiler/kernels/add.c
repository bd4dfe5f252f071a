/* Sum of two tensors of one shape. Inputs are scaled to 20 bits below the larger scale; a half of the
 * one with that scale is exact, the other's factor is rounded twice (see exact.c), and so is the
 * sum's (see rescale.c). */
struct add {
    int32_t large_offset, small_offset; /* minus the zero points, shifted as below */
    int32_t multiplier, right;          /* of the input with the smaller scale */
    int32_t out_multiplier, shift, rounding, relu;
    int32_t low, high;
};

static ALONE void add(const struct add *a, const int8_t *large, const int8_t *small, int8_t *out,
                      int32_t count)
{
    const int32_t large_offset = a->large_offset, small_offset = a->small_offset;
    const int32_t multiplier = a->multiplier, right = a->right, half = right ? 1 << (right - 1) : 0;
    const int32_t out_multiplier = a->out_multiplier, shift = a->shift, relu = a->relu;
    const int32_t rounding = a->rounding * (1 << shift);
    int8_t *first = out;
    for (int32_t i = count; i > 0; i--) {
        int32_t sum = *large++ * (1 << 20) + large_offset; /* twice the value */
        int32_t other = multiply_high(*small++ * (1 << 21) + small_offset, multiplier, 0);
        if (right)
            other = (other + half + (other >> 31)) >> right;
        *out++ = (int8_t)rescale(sum + other * 2, out_multiplier, shift, rounding, relu);
    }
    if (a->low > -128 || a->high < 127)
        clamp(first, count, a->low, a->high);
}
