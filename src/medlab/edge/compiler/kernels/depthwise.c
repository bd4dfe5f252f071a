struct depthwise_channel { int32_t start, multiplier, shift; }; /* start: twice the bias */

struct depthwise_run { /* one channel's, for assembly */
    uint32_t weights[6];
    int32_t start[2], multiplier, shift, rounding;
};

struct depthwise {
    const int8_t *weights;
    const struct depthwise_channel *channels;
    int32_t rounding; /* 2z + 1 */
    int8_t padding;   /* the input's zero point */
};

static inline uint32_t doubled_pair(int32_t low, int32_t high)
{
    return (uint16_t)(low * 2) | (uint32_t)high << 17;
}

#if DSP
typedef uint32_t __attribute__((may_alias)) aligned_pair;
static inline uint32_t load_pair(const int16_t *from) { return *(const aligned_pair *)(const void *)from; }
#else
static inline uint32_t load_pair(const int16_t *from) { return pair_of(from[0], from[1]); }
#endif

static void fill_plane(int16_t *plane, int16_t value, int32_t count)
{
    for (; count > 0; count--) {
        *plane++ = value;
        KEEP_LOOP;
    }
}
