/* Two 16-bit numbers travel in one 32-bit word, the lower one first. On a core with DSP instructions
 * each function below is one of them; elsewhere it is the same arithmetic in plain C. */
#if defined(__ARM_FEATURE_DSP) && defined(__ARM_FEATURE_SIMD32) && defined(__thumb2__)
#define DSP 1
#else
#define DSP 0
#endif

#if defined(__GNUC__)
#define ALONE __attribute__((noinline)) /* one copy of a kernel, however many layers call it */
#define KEEP_LOOP __asm volatile("")    /* no call of memcpy or memset in place of a short loop */
#else
#define ALONE
#define KEEP_LOOP
#endif

/* A function that is all assembly: nothing may be concluded from its body. */
#if defined(__clang__)
#define ASSEMBLY __attribute__((naked, noinline))
#else
#define ASSEMBLY __attribute__((naked, noipa))
#endif

#if DSP
struct word { uint32_t bits; } __attribute__((packed, may_alias));
static inline uint32_t load_word(const void *from) { return ((const struct word *)from)->bits; }
static inline void store_word(void *to, uint32_t bits) { ((struct word *)to)->bits = bits; }
#define DSP_INSTRUCTION(name, text)                                               \
    static inline int32_t name(uint32_t a, uint32_t b, int32_t sum)               \
    {                                                                             \
        int32_t result;                                                           \
        __asm(text " %0, %1, %2, %3" : "=r"(result) : "r"(a), "r"(b), "r"(sum));  \
        return result;                                                            \
    }
DSP_INSTRUCTION(multiply_both, "smlad")
DSP_INSTRUCTION(multiply_low_low, "smlabb")
DSP_INSTRUCTION(multiply_low_high, "smlabt")
DSP_INSTRUCTION(multiply_high_low, "smlatb")
DSP_INSTRUCTION(multiply_high, "smmlar")
/* Bytes 0 and 2, and bytes 1 and 3, as two 16-bit numbers each. */
static inline uint32_t even_bytes(uint32_t bytes)
{
    uint32_t pair;
    __asm("sxtb16 %0, %1" : "=r"(pair) : "r"(bytes));
    return pair;
}
static inline uint32_t odd_bytes(uint32_t bytes)
{
    uint32_t pair;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(bytes));
    return pair;
}
/* Half of a value, rounded down, kept within int8. */
static inline int32_t saturated_half(int32_t value)
{
    int32_t result;
    __asm("ssat %0, #8, %1, asr #1" : "=r"(result) : "r"(value));
    return result;
}
#else
static inline uint32_t pair_of(int32_t low, int32_t high)
{
    return (uint16_t)low | (uint32_t)(uint16_t)high << 16;
}
static inline int32_t low_of(uint32_t pair) { return (int16_t)(uint16_t)pair; }
static inline int32_t high_of(uint32_t pair) { return (int16_t)(uint16_t)(pair >> 16); }
static inline uint32_t load_word(const void *from)
{
    const uint8_t *byte = from;
    return byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 | (uint32_t)byte[3] << 24;
}
static inline void store_word(void *to, uint32_t bits)
{
    uint8_t *byte = to;
    byte[0] = (uint8_t)bits;
    byte[1] = (uint8_t)(bits >> 8);
    byte[2] = (uint8_t)(bits >> 16);
    byte[3] = (uint8_t)(bits >> 24);
}
static inline int32_t wrapped_sum(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
static inline int32_t multiply_both(uint32_t a, uint32_t b, int32_t sum)
{
    return wrapped_sum(sum, wrapped_sum(low_of(a) * low_of(b), high_of(a) * high_of(b)));
}
static inline int32_t multiply_low_low(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + low_of(a) * low_of(b);
}
static inline int32_t multiply_low_high(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + low_of(a) * high_of(b);
}
static inline int32_t multiply_high_low(uint32_t a, uint32_t b, int32_t sum)
{
    return sum + high_of(a) * low_of(b);
}
static inline int32_t multiply_high(int32_t a, int32_t b, int32_t sum)
{
    return (int32_t)(((int64_t)a * b + ((int64_t)sum * 2 + 1) * ((int64_t)1 << 31)) >> 32);
}
static inline uint32_t even_bytes(uint32_t bytes) { return pair_of((int8_t)bytes, (int8_t)(bytes >> 16)); }
static inline uint32_t odd_bytes(uint32_t bytes) { return pair_of((int8_t)(bytes >> 8), (int8_t)(bytes >> 24)); }
static inline int32_t saturated_half(int32_t value)
{
    return value < -256 ? -128 : value > 255 ? 127 : value >> 1;
}
#endif

static inline int32_t at_least(int32_t value, int32_t low) { return value < low ? low : value; }
static inline int32_t at_most(int32_t value, int32_t high) { return value > high ? high : value; }

static inline void copy_bytes(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        store_word(to, load_word(from));
        KEEP_LOOP;
    }
    for (; count > 0; count--) {
        *to++ = *from++;
        KEEP_LOOP;
    }
}

static inline void fill_bytes(int8_t *to, int8_t value, int32_t count)
{
    for (; count > 0; count--) {
        *to++ = value;
        KEEP_LOOP;
    }
}
