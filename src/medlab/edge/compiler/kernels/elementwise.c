/* Sum and product of two tensors; a step of 0 repeats an input along that axis. */
struct elementwise {
    int32_t counts[4];
    int32_t steps[2][4];
    int32_t offsets[2]; /* minus the inputs' zero points */
    struct factor factors[2];
    struct factor out;
    int32_t zero_point, low, high;
};

static int32_t sum_of(const struct elementwise *e, int32_t a, int32_t b)
{
    return rescale_exactly((a + e->offsets[0]) * (1 << 20), e->factors[0])
         + rescale_exactly((b + e->offsets[1]) * (1 << 20), e->factors[1]);
}

static int32_t product_of(const struct elementwise *e, int32_t a, int32_t b)
{
    return (a + e->offsets[0]) * (b + e->offsets[1]);
}

static ALONE void elementwise(const struct elementwise *e, const int8_t *a, const int8_t *b, int8_t *out,
                              int32_t (*of)(const struct elementwise *, int32_t, int32_t))
{
    int32_t i[4];
    for (i[0] = 0; i[0] < e->counts[0]; i[0]++)
    for (i[1] = 0; i[1] < e->counts[1]; i[1]++)
    for (i[2] = 0; i[2] < e->counts[2]; i[2]++) {
        const int8_t *at[2];
        for (int32_t n = 0; n < 2; n++)
            at[n] = (n ? b : a) + i[0] * e->steps[n][0] + i[1] * e->steps[n][1] + i[2] * e->steps[n][2];
        for (i[3] = 0; i[3] < e->counts[3]; i[3]++) {
            int32_t value = of(e, at[0][i[3] * e->steps[0][3]], at[1][i[3] * e->steps[1][3]]);
            value = rescale_exactly(value, e->out) + e->zero_point;
            *out++ = (int8_t)at_most(at_least(value, e->low), e->high);
        }
    }
}
