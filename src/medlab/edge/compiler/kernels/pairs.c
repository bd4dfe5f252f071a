/* Weights in pairs of output channels.
 *
 * Weights of channels A and B share a 16-bit number, A + 256 B. With X = sum(a (A + 256 B)), modulo
 * 2^32, and Y = sum(a A), the sums are Y and (X - Y) / 256; so only A's byte is ever unpacked. The
 * compiler has proved that B's sum fits 24 bits. Four inputs 0 1 2 3 make the pairs (0 2) and (1 3). */
struct channel_pair {
    int32_t x, y; /* where the sums start: bias A + 256 B, and A */
    int32_t multiplier[2];
    uint32_t shifts; /* A's in the lowest byte, then B's */
};

struct block {
    const int8_t *weights;
    const struct channel_pair *pairs;
    int32_t pair_count;
    int32_t groups;   /* of four inputs */
    int32_t channels; /* bytes from one output pixel to the next */
    int32_t rounding; /* 2z + 1 */
    int32_t relu;
};
