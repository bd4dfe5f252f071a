/* Convolution: three output pixels by two output channels at a time (see pairs.c).
 *
 * A patch holds what three output pixels see, as 16-bit numbers; the pairs of inputs of three pixels
 * are side by side. */
#if DSP
/* One group of four inputs: 12 multiplications by two. r0 patch, r1 weights, r2-r7 X and Y of three
 * pixels. */
#define PAIR_OF_INPUTS(w)               \
    "smlad r2, r10, " w ", r2\n"        \
    "smlad r4, r11, " w ", r4\n"        \
    "smlad r6, r12, " w ", r6\n"        \
    "sxtb16 " w ", " w "\n"             \
    "smlad r3, r10, " w ", r3\n"        \
    "smlad r5, r11, " w ", r5\n"        \
    "smlad r7, r12, " w ", r7\n"
#define GROUP                           \
    "ldrd r8, r9, [r1], #8\n"           \
    "ldmia.w r0!, {r10, r11, r12}\n"    \
    PAIR_OF_INPUTS("r8")                \
    "ldmia.w r0!, {r10, r11, r12}\n"    \
    PAIR_OF_INPUTS("r9")

/* Accumulator to int8 (see rescale); A has its sum, B has 256 times it in the difference. */
#define RESCALE_RELU(x, m, rounding, shift) \
    "smmlar " x ", " x ", " m ", " rounding "\n" \
    "asr.w " x ", " x ", " shift "\n"       \
    "ssat " x ", #8, " x ", asr #1\n"
#define RESCALE_SIGNED(x, m, rounding, shift) \
    "smmulr " x ", " x ", " m "\n"          \
    "add.w lr, " rounding ", " x ", asr #31\n" \
    "add.w " x ", " x ", lr\n"              \
    "asr.w " x ", " x ", " shift "\n"       \
    "ssat " x ", #8, " x ", asr #1\n"
#define RESCALE_PIXEL(rescale, x, y)        \
    "sub.w " x ", " x ", " y "\n"           \
    "asr.w " x ", " x ", #7\n"              \
    "lsl.w " y ", " y ", #1\n"              \
    rescale(y, "r8", "r11", "r10")          \
    rescale(x, "r9", "r0", "r12")

/* Stack: 0 entry of the loop, 4 end of the patch, 8 patch, 12 pairs, 16 output, 20 bytes per pixel,
 * 24 end of the weights, 28 rounding. */
#define BLOCK(name, rescale)                                                                        \
    static ASSEMBLY void name(const int16_t *patch, const struct block *b, int8_t *out)             \
    {                                                                                               \
        __asm volatile(                                                                             \
            ".syntax unified\n"                                                                     \
            "push {r4-r11, lr}\n"                                                                   \
            "sub sp, sp, #36\n"                                                                     \
            "ldr r3, [r1, #12]\n" /* groups */                                                      \
            "mov r4, #24\n"                                                                         \
            "mla r4, r3, r4, r0\n"                                                                  \
            "str r4, [sp, #4]\n"                                                                    \
            "str r0, [sp, #8]\n"                                                                    \
            "rsb r4, r3, #0\n" /* steps to leave out of the first round: -groups mod 4 */           \
            "and r4, r4, #3\n"                                                                      \
            "mov r5, #68\n"                                                                         \
            "adr.w r6, 2f\n"                                                                        \
            "mla r4, r4, r5, r6\n"                                                                  \
            "orr r4, r4, #1\n"                                                                      \
            "str r4, [sp, #0]\n"                                                                    \
            "ldr r4, [r1, #4]\n"                                                                    \
            "str r4, [sp, #12]\n"                                                                   \
            "str r2, [sp, #16]\n"                                                                   \
            "ldr r4, [r1, #16]\n"                                                                   \
            "str r4, [sp, #20]\n"                                                                   \
            "ldr r4, [r1, #20]\n"                                                                   \
            "str r4, [sp, #28]\n"                                                                   \
            "ldr r4, [r1, #8]\n" /* weights: 8 bytes for each group of a pair */                    \
            "ldr r1, [r1, #0]\n"                                                                    \
            "mul r4, r4, r3\n"                                                                      \
            "add r4, r1, r4, lsl #3\n"                                                              \
            "str r4, [sp, #24]\n"                                                                   \
            "1:\n"                                                                                  \
            "ldrd r12, lr, [sp, #0]\n"                                                              \
            "ldrd r0, r8, [sp, #8]\n"                                                               \
            "ldrd r2, r3, [r8]\n"                                                                   \
            "mov r4, r2\n"                                                                          \
            "mov r5, r3\n"                                                                          \
            "mov r6, r2\n"                                                                          \
            "mov r7, r3\n"                                                                          \
            "bx r12\n"                                                                              \
            ".balign 4\n"                                                                           \
            "2:\n" GROUP GROUP GROUP GROUP                                                          \
            "cmp r0, lr\n"                                                                          \
            "bne.w 2b\n"                                                                            \
            "ldr r0, [sp, #12]\n"                                                                   \
            "ldrd r8, r9, [r0, #8]\n"                                                               \
            "ldr r10, [r0, #16]\n"                                                                  \
            "add r0, r0, #20\n"                                                                     \
            "str r0, [sp, #12]\n"                                                                   \
            "ldr r0, [sp, #28]\n"                                                                   \
            "lsr r12, r10, #8\n"                                                                    \
            "lsl r11, r0, r10\n"                                                                    \
            "lsl r0, r0, r12\n"                                                                     \
            RESCALE_PIXEL(rescale, "r2", "r3")                                                      \
            RESCALE_PIXEL(rescale, "r4", "r5")                                                      \
            RESCALE_PIXEL(rescale, "r6", "r7")                                                      \
            "ldrd r8, r9, [sp, #16]\n"                                                              \
            "ldr r10, [sp, #24]\n"                                                                  \
            "strb r3, [r8], #1\n"                                                                   \
            "strb r2, [r8], #1\n"                                                                   \
            "str r8, [sp, #16]\n"                                                                   \
            "add r8, r8, r9\n"                                                                      \
            "strb r5, [r8, #-2]\n"                                                                  \
            "strb r4, [r8, #-1]\n"                                                                  \
            "add r8, r8, r9\n"                                                                      \
            "strb r7, [r8, #-2]\n"                                                                  \
            "strb r6, [r8, #-1]\n"                                                                  \
            "cmp r1, r10\n"                                                                         \
            "bne.w 1b\n"                                                                            \
            "add sp, sp, #36\n"                                                                     \
            "pop {r4-r11, pc}\n" ::: "memory");                                                     \
    }
#if CONVOLUTION_RELU
BLOCK(block_relu, RESCALE_RELU)
#endif
#if CONVOLUTION_SIGNED
BLOCK(block_signed, RESCALE_SIGNED)
#endif

static inline void block(const int16_t *patch, const struct block *b, int8_t *out)
{
#if CONVOLUTION_RELU && CONVOLUTION_SIGNED
    (b->relu ? block_relu : block_signed)(patch, b, out);
#elif CONVOLUTION_RELU
    block_relu(patch, b, out);
#else
    block_signed(patch, b, out);
#endif
}
#else
static inline void store_pixel(int32_t a, int32_t b, const struct channel_pair *pair,
                               const struct block *of, int8_t *out)
{
    int32_t shift_a = pair->shifts & 255, shift_b = pair->shifts >> 8, r = of->rounding;
    out[0] = (int8_t)rescale(a * 2, pair->multiplier[0], shift_a, r * (1 << shift_a), of->relu);
    out[1] = (int8_t)rescale(b * 2, pair->multiplier[1], shift_b, r * (1 << shift_b), of->relu);
}

/* Without such instructions it costs as little to take A and B out of their number: its upper byte is B,
 * less one where A is negative. */
static ALONE void block(const int16_t *patch, const struct block *b, int8_t *out)
{
    const int8_t *w = b->weights;
    for (int32_t i = 0; i < b->pair_count; i++, out += 2) {
        const struct channel_pair *pair = &b->pairs[i];
        const int16_t *p = patch;
        int32_t a0 = pair->y, a1 = a0, a2 = a0;
        int32_t b0 = (int32_t)((uint32_t)pair->x - (uint32_t)pair->y) >> 8, b1 = b0, b2 = b0;
        for (int32_t k = 2 * b->groups; k > 0; k--, w += 4, p += 6) {
            for (int32_t j = 0; j < 2; j++) {
                int32_t wa = w[2 * j], wb = w[2 * j + 1] - (wa >> 31);
                a0 += p[j] * wa;
                a1 += p[2 + j] * wa;
                a2 += p[4 + j] * wa;
                b0 += p[j] * wb;
                b1 += p[2 + j] * wb;
                b2 += p[4 + j] * wb;
            }
        }
        store_pixel(a0, b0, pair, b, out);
        store_pixel(a1, b1, pair, b, out + b->channels);
        store_pixel(a2, b2, pair, b, out + 2 * b->channels);
    }
}
#endif

/* Widen one pixel's inputs into its place in the patch. */
static inline void widen(int16_t *patch, const int8_t *in, int32_t groups)
{
    for (; groups > 0; groups--, in += 4, patch += 12) {
        uint32_t bytes = load_word(in), even = even_bytes(bytes), odd = odd_bytes(bytes);
#if DSP
        store_word(patch, even);
        store_word(patch + 6, odd);
#else
        patch[0] = (int16_t)low_of(even);
        patch[1] = (int16_t)high_of(even);
        patch[6] = (int16_t)low_of(odd);
        patch[7] = (int16_t)high_of(odd);
#endif
    }
}

/* Widen three pixels' inputs, `step` bytes apart; groups is at least 1. */
#if DSP
static ASSEMBLY void widen_three(int16_t *patch, const int8_t *in, int32_t step, int32_t groups)
{
    __asm volatile(
        ".syntax unified\n"
        "push {r4-r9, lr}\n"
        "mov r12, r2\n"
        "add r2, r1, r2\n"
        "add r12, r2, r12\n"
        "add r3, r1, r3, lsl #2\n"
        "1:\n"
        "ldr r7, [r1], #4\n"
        "ldr r8, [r2], #4\n"
        "ldr r9, [r12], #4\n"
        "sxtb16 r4, r7\n"
        "sxtb16 r5, r8\n"
        "sxtb16 r6, r9\n"
        "sxtb16 r7, r7, ror #8\n"
        "sxtb16 r8, r8, ror #8\n"
        "sxtb16 r9, r9, ror #8\n"
        "cmp r1, r3\n"
        "stmia.w r0!, {r4, r5, r6, r7, r8, r9}\n"
        "bne 1b\n"
        "pop {r4-r9, pc}\n" ::: "memory");
}
#else
static void widen_three(int16_t *patch, const int8_t *in, int32_t step, int32_t groups)
{
    widen(patch, in, groups);
    widen(patch + 2, in + step, groups);
    widen(patch + 4, in + 2 * step, groups);
}
#endif

struct convolution {
    struct block block;
    int16_t in_height, in_width, in_channels, out_height, out_width, out_channels;
    int16_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x;
    int16_t pad_top, pad_left;
    int16_t ring_rows;   /* input rows kept aside, so that outputs may overwrite the input; 0: none */
    int32_t row_bytes;   /* of such a row, with its padding left and right */
    int32_t segment;     /* neighbouring bytes of a row that a pixel sees */
    int16_t segments;    /* of those per row: 1, or the kernel's width if it is dilated */
    int8_t padding;      /* the input's zero point */
    int8_t low, high;    /* of a fused activation */
    int32_t ring_bytes;  /* of all rows in the ring, with one of padding where outputs see one */
};

/* Copy input rows into the ring, as far as output row y needs them. */
static int32_t load_rows(const struct convolution *c, const int8_t *in, int8_t *ring, int32_t loaded,
                         int32_t y)
{
    int32_t width = c->in_width * c->in_channels;
    int32_t need = at_most(y * c->stride_y - c->pad_top + (c->kernel_height - 1) * c->dilation_y + 1,
                           c->in_height);
    loaded = at_least(loaded, need - c->ring_rows); /* rows that no later output sees */
    for (; loaded < need; loaded++)
        copy_bytes(ring + (loaded % c->ring_rows) * c->row_bytes + c->pad_left * c->in_channels,
                   in + loaded * width, width);
    return loaded;
}

/* Gather what output pixel (y, x) sees, and if there are three, its two neighbours to the right. bytes
 * is room for their inputs where segments do not fill groups of four. */
static void gather(const struct convolution *c, const int8_t *ring, int8_t *bytes, int32_t y, int32_t x,
                   int32_t three, int16_t *patch)
{
    int32_t groups = c->segment / 4, direct = c->segment % 4 == 0, each = 4 * c->block.groups;
    int32_t step = c->stride_x * c->in_channels, skip = c->dilation_x * c->in_channels;
    int32_t row = y * c->stride_y - c->pad_top, slot = row < 0 ? 0 : row % c->ring_rows;
    int8_t *packed = bytes;
    ring += x * step;
    for (int32_t k = c->kernel_height; k > 0; k--, row += c->dilation_y) {
        int32_t outside = row < 0 || row >= c->in_height;
        const int8_t *at = ring + (outside ? c->ring_rows : slot) * c->row_bytes;
        for (int32_t s = c->segments; s > 0; s--, at += skip) {
            if (!direct) {
                for (int32_t i = 0; i < (three ? 3 : 1); i++)
                    copy_bytes(packed + i * each, at + i * step, c->segment);
                packed += c->segment;
            } else if (three) {
                widen_three(patch, at, step, groups);
            } else {
                widen(patch, at, groups);
            }
            patch += direct ? 12 * groups : 0;
        }
        slot = row < 0 ? (row + c->dilation_y) * (row + c->dilation_y > 0) : slot + c->dilation_y;
        slot = slot < c->ring_rows ? slot : slot % c->ring_rows;
    }
    if (!direct && three)
        widen_three(patch, bytes, each, c->block.groups);
    else if (!direct)
        widen(patch, bytes, c->block.groups);
}

/* The same where a pixel sees only itself: without a ring. */
static void gather_points(const struct convolution *c, const int8_t *in, int32_t y, int32_t x, int32_t three,
                          int16_t *patch)
{
    int32_t step = c->stride_x * c->in_channels;
    in += y * c->stride_y * c->in_width * c->in_channels + x * step;
    if (three)
        widen_three(patch, in, step, c->block.groups);
    else
        widen(patch, in, c->block.groups);
}

/* Compute a block; the last may have fewer than three pixels, and an odd number of channels leaves one
 * over, so these go through `spare`. */
static int8_t *finish_block(const struct convolution *c, const int16_t *patch, int32_t pixels, int8_t *spare,
                            int8_t *out)
{
    if (pixels == 3 && c->out_channels % 2 == 0) {
        block(patch, &c->block, out);
    } else {
        struct block odd = c->block;
        odd.channels = 2 * odd.pair_count;
        block(patch, &odd, spare);
        for (int32_t i = 0; i < pixels; i++)
            copy_bytes(out + i * c->out_channels, spare + i * odd.channels, c->out_channels);
    }
    return out + pixels * c->out_channels;
}

/* ring: ring_rows rows and one of padding; patch: three pixels; spare: three pixels' bytes, or a block's
 * outputs. Outputs may overwrite inputs as far as the compiler has found that rows are read first. */
static ALONE void convolution(const struct convolution *c, const int8_t *in, int8_t *out, int16_t *patch,
                              int8_t *spare, int8_t *ring)
{
    int32_t loaded = 0, filled = 0;
    int8_t *first = out;
    if (c->ring_rows)
        fill_bytes(ring, c->padding, c->ring_bytes);
    for (int32_t y = 0; y < c->out_height; y++) {
        if (c->ring_rows)
            loaded = load_rows(c, in, ring, loaded, y);
        for (int32_t x = 0; x < c->out_width;) {
            int32_t three = filled == 0 && x + 3 <= c->out_width;
            if (c->ring_rows)
                gather(c, ring, spare, y, x, three, patch + 2 * filled);
            else
                gather_points(c, in, y, x, three, patch + 2 * filled);
            filled += three ? 3 : 1;
            x += three ? 3 : 1;
            if (filled == 3) {
                out = finish_block(c, patch, 3, spare, out);
                filled = 0;
            }
        }
    }
    if (filled)
        out = finish_block(c, patch, filled, spare, out);
    if (c->low > -128 || c->high < 127)
        clamp(first, (int32_t)(out - first), c->low, c->high);
}
