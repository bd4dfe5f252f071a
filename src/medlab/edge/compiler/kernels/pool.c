/* Average and maximum over windows; parts of a window outside the input do not count. */
struct pool {
    int16_t in_height, in_width, channels, out_height, out_width;
    int16_t height, width, stride_y, stride_x, pad_top, pad_left;
    int8_t low, high;
};

static int8_t average(int32_t sum, int32_t count, const struct pool *p)
{
    sum = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return (int8_t)at_most(at_least(sum, p->low), p->high);
}

#if DSP
static inline uint32_t add_even_bytes(uint32_t sums, uint32_t bytes)
{
    uint32_t result;
    __asm("sxtab16 %0, %1, %2" : "=r"(result) : "r"(sums), "r"(bytes));
    return result;
}

/* Four channels at a time: sums of 16 bits, two to a word, hold up to 256 numbers. */
static void average_four(const int8_t *at, int32_t rows, int32_t columns, const struct pool *p, int8_t *out)
{
    int32_t count = rows * columns, step = (p->in_width - columns) * p->channels;
    uint32_t even = 0, odd = 0;
    for (; rows > 0; rows--, at += step)
        for (int32_t x = columns; x > 0; x--, at += p->channels) {
            uint32_t bytes = load_word(at);
            even = add_even_bytes(even, bytes);
            odd = add_even_bytes(odd, bytes >> 8 | bytes << 24);
        }
    out[0] = average((int16_t)even, count, p);
    out[1] = average((int16_t)odd, count, p);
    out[2] = average((int32_t)even >> 16, count, p);
    out[3] = average((int32_t)odd >> 16, count, p);
}

/* The greater of each two bytes. */
static inline uint32_t greater_bytes(uint32_t a, uint32_t b)
{
    uint32_t result;
    __asm("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(result) : "r"(a), "r"(b) : "cc");
    return result;
}

static void maximum_four(const int8_t *at, int32_t rows, int32_t columns, const struct pool *p, int8_t *out)
{
    int32_t step = (p->in_width - columns) * p->channels;
    uint32_t most = (uint8_t)p->low * 0x01010101u;
    for (; rows > 0; rows--, at += step)
        for (int32_t x = columns; x > 0; x--, at += p->channels)
            most = greater_bytes(most, load_word(at));
    store_word(out, most);
    if (p->high < 127)
        for (int32_t i = 0; i < 4; i++)
            out[i] = (int8_t)at_most(out[i], p->high);
}
#endif

static int8_t average_of(const int8_t *at, int32_t rows, int32_t columns, const struct pool *p)
{
    int32_t sum = 0, count = rows * columns, step = (p->in_width - columns) * p->channels;
    for (; rows > 0; rows--, at += step)
        for (int32_t x = columns; x > 0; x--, at += p->channels)
            sum += *at;
    return average(sum, count, p);
}

static int8_t maximum_of(const int8_t *at, int32_t rows, int32_t columns, const struct pool *p)
{
    int32_t most = p->low, step = (p->in_width - columns) * p->channels;
    for (; rows > 0; rows--, at += step)
        for (int32_t x = columns; x > 0; x--, at += p->channels)
            most = at_least(*at, most);
    return (int8_t)at_most(most, p->high);
}

static ALONE void pool(const struct pool *p, const int8_t *in, int8_t *out,
                       int8_t (*reduce)(const int8_t *, int32_t, int32_t, const struct pool *))
{
    for (int32_t y = 0; y < p->out_height; y++)
        for (int32_t x = 0; x < p->out_width; x++) {
            int32_t top = y * p->stride_y - p->pad_top, left = x * p->stride_x - p->pad_left;
            int32_t bottom = at_most(top + p->height, p->in_height);
            int32_t right = at_most(left + p->width, p->in_width);
            top = at_least(top, 0);
            left = at_least(left, 0);
            const int8_t *at = in + (top * p->in_width + left) * p->channels;
            int32_t c = p->channels;
#if DSP
            for (; c >= 4 && reduce == maximum_of; c -= 4, at += 4, out += 4)
                maximum_four(at, bottom - top, right - left, p, out);
            if ((bottom - top) * (right - left) <= 256)
                for (; c >= 4; c -= 4, at += 4, out += 4)
                    average_four(at, bottom - top, right - left, p, out);
#endif
            for (; c > 0; c--)
                *out++ = reduce(at++, bottom - top, right - left, p);
        }
}
