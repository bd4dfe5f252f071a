/* Mean over some axes: a sum, then one factor that holds both scales and the count. */
struct axis { int32_t count, step; };

static ALONE void mean(const int8_t *in, int8_t *out, const struct axis *kept, const struct axis *summed,
                       int32_t offset, struct factor by, int32_t zero_point)
{
    int32_t k[4] = {0, 0, 0, 0};
    for (k[0] = 0; k[0] < kept[0].count; k[0]++)
    for (k[1] = 0; k[1] < kept[1].count; k[1]++)
    for (k[2] = 0; k[2] < kept[2].count; k[2]++)
    for (k[3] = 0; k[3] < kept[3].count; k[3]++) {
        const int8_t *at = in + k[0] * kept[0].step + k[1] * kept[1].step + k[2] * kept[2].step
                         + k[3] * kept[3].step;
        int32_t sum = offset;
        for (int32_t a = 0; a < summed[0].count; a++)
        for (int32_t b = 0; b < summed[1].count; b++)
        for (int32_t c = 0; c < summed[2].count; c++)
        for (int32_t d = 0; d < summed[3].count; d++)
            sum += at[a * summed[0].step + b * summed[1].step + c * summed[2].step + d * summed[3].step];
        sum = rescale_exactly(sum, by) + zero_point;
        *out++ = (int8_t)at_most(at_least(sum, -128), 127);
    }
}
