/* Softmax: exp(in - greatest) comes from a table, with 31 fraction bits; the sum has 19. */
static int32_t high_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)1 << 30)) >> 31);
}

/* 1 / (1 + value), for a value with 31 fraction bits: three steps of Newton's method, 29 fraction bits. */
static int32_t reciprocal(int32_t value)
{
    int32_t half = (int32_t)(((int64_t)value + INT32_MAX + 1) >> 1);
    int32_t x = 1515870810 + high_product(half, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - high_product(half, x);
        x += high_product(x, error) * 4;
    }
    return x > INT32_MAX / 2 ? INT32_MAX : x * 2;
}

static ALONE void softmax(const int32_t *exponentials, int32_t depth, int32_t table_size, const int8_t *in,
                          int8_t *out, int32_t rows)
{
    for (; rows > 0; rows--, in += depth, out += depth) {
        int32_t greatest = -128, sum = 0, zeros = 0, over, factor;
        for (int32_t i = 0; i < depth; i++)
            greatest = at_least(in[i], greatest);
        for (int32_t i = 0; i < depth; i++)
            if (greatest - in[i] < table_size)
                sum += (int32_t)(((uint32_t)exponentials[greatest - in[i]] + (1 << 11)) >> 12);
        while (!((uint32_t)sum << zeros & 0x80000000u))
            zeros++;
        factor = reciprocal((int32_t)(((uint32_t)sum << zeros) - 0x80000000u));
        over = 12 - zeros + 31 - 8;
        for (int32_t i = 0; i < depth; i++) {
            int32_t value = -128;
            if (greatest - in[i] < table_size)
                value += (int32_t)(((int64_t)high_product(factor, exponentials[greatest - in[i]])
                                    + ((int64_t)1 << (over - 1))) >> over);
            out[i] = (int8_t)at_most(value, 127);
        }
    }
}
