/* Fully connected: pairs of channels (see pairs.c), one input vector. */
static void finish_pair(int32_t x, int32_t y, const struct channel_pair *pair, int32_t rounding,
                        int32_t relu, int8_t *out, int32_t both)
{
    int32_t a = pair->shifts & 255, b = pair->shifts >> 8;
    int32_t doubled = (int32_t)((uint32_t)x - (uint32_t)y) >> 7;
    out[0] = (int8_t)rescale((int32_t)((uint32_t)y * 2), pair->multiplier[0], a, rounding * (1 << a), relu);
    if (both)
        out[1] = (int8_t)rescale(doubled, pair->multiplier[1], b, rounding * (1 << b), relu);
}

#if DSP
/* Add up two pairs of channels at once; sums holds X and Y of each, before and after. */
static ASSEMBLY void sum_two_pairs(const int8_t *in, const int8_t *w, int32_t groups, int32_t *sums)
{
    __asm volatile(
        ".syntax unified\n"
        "push {r3-r11, lr}\n"
        "add r12, r1, r2, lsl #3\n" /* the second pair's weights */
        "add lr, r0, r2, lsl #2\n"
        "ldmia.w r3, {r2, r3, r4, r5}\n"
        "1:\n"
        "ldr r7, [r0], #4\n"
        "ldrd r8, r9, [r1], #8\n"
        "ldrd r10, r11, [r12], #8\n"
        "sxtb16 r6, r7\n"
        "sxtb16 r7, r7, ror #8\n"
        "smlad r2, r6, r8, r2\n"
        "smlad r4, r6, r10, r4\n"
        "sxtb16 r8, r8\n"
        "sxtb16 r10, r10\n"
        "smlad r3, r6, r8, r3\n"
        "smlad r5, r6, r10, r5\n"
        "smlad r2, r7, r9, r2\n"
        "smlad r4, r7, r11, r4\n"
        "sxtb16 r9, r9\n"
        "sxtb16 r11, r11\n"
        "smlad r3, r7, r9, r3\n"
        "smlad r5, r7, r11, r5\n"
        "cmp r0, lr\n"
        "bne 1b\n"
        "ldr r6, [sp, #0]\n"
        "stmia.w r6, {r2, r3, r4, r5}\n"
        "pop {r3-r11, pc}\n" ::: "memory");
}
#endif

static const int8_t *sum_pair(const int8_t *in, const int8_t *w, int32_t groups, int32_t *sums)
{
    int32_t x = sums[0], y = sums[1];
    for (; groups > 0; groups--, in += 4, w += 8) {
        uint32_t bytes = load_word(in), even = even_bytes(bytes), odd = odd_bytes(bytes);
        uint32_t w_even = load_word(w), w_odd = load_word(w + 4);
        x = multiply_both(even, w_even, x);
        x = multiply_both(odd, w_odd, x);
        y = multiply_both(even, even_bytes(w_even), y);
        y = multiply_both(odd, even_bytes(w_odd), y);
    }
    sums[0] = x;
    sums[1] = y;
    return w;
}

static ALONE void fully_connected(const struct block *b, const int8_t *in, int8_t *out)
{
    const int8_t *w = b->weights;
    const struct channel_pair *pair = b->pairs, *end = b->pairs + b->pair_count;
    int32_t left = b->channels, sums[4];
#if DSP
    for (; pair + 1 < end; pair += 2, out += 4, left -= 4, w += 16 * b->groups) {
        sums[0] = pair[0].x;
        sums[1] = pair[0].y;
        sums[2] = pair[1].x;
        sums[3] = pair[1].y;
        sum_two_pairs(in, w, b->groups, sums);
        finish_pair(sums[0], sums[1], pair, b->rounding, b->relu, out, 1);
        finish_pair(sums[2], sums[3], pair + 1, b->rounding, b->relu, out + 2, left > 3);
    }
#endif
    for (; pair < end; pair++, out += 2, left -= 2) {
        sums[0] = pair->x;
        sums[1] = pair->y;
        w = sum_pair(in, w, b->groups, sums);
        finish_pair(sums[0], sums[1], pair, b->rounding, b->relu, out, left > 1);
    }
}
