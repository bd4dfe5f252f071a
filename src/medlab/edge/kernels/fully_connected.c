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

static ALONE void fully_connected(const struct block *b, const int8_t *in, int8_t *out)
{
    const int8_t *w = b->weights;
    for (int32_t i = 0; i < b->pair_count; i++, out += 2) {
        const struct channel_pair *pair = &b->pairs[i];
        const int8_t *a = in;
        int32_t x = pair->x, y = pair->y;
        for (int32_t k = b->groups; k > 0; k--, a += 4, w += 8) {
            uint32_t bytes = load_word(a), even = even_bytes(bytes), odd = odd_bytes(bytes);
            uint32_t w_even = load_word(w), w_odd = load_word(w + 4);
            x = multiply_both(even, w_even, x);
            x = multiply_both(odd, w_odd, x);
            y = multiply_both(even, even_bytes(w_even), y);
            y = multiply_both(odd, even_bytes(w_odd), y);
        }
        finish_pair(x, y, pair, b->rounding, b->relu, out, 2 * i + 1 < b->channels);
    }
}
