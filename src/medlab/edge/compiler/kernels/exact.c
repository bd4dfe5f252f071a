/* The same rescaling without any proof: sums wrap at 32 bits, products take 64. For the rare channel
 * whose sum may pass 2^30. */
struct factor { int32_t multiplier; int32_t shift; };

static int32_t rescale_exactly(int32_t sum, struct factor by)
{
    int32_t left = by.shift > 0 ? by.shift : 0, right = by.shift < 0 ? -by.shift : 0;
    int32_t shifted = (int32_t)((uint32_t)sum << left);
    int32_t scaled = (int32_t)(((int64_t)shifted * by.multiplier + ((int64_t)1 << 30)) >> 31);
    if (right == 0)
        return scaled;
    return (int32_t)(((int64_t)scaled + ((int64_t)1 << (right - 1)) - (scaled < 0)) >> right);
}
