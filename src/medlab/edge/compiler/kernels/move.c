/* Copy a block of up to four axes into a larger one. */
static ALONE void move(const int8_t *in, int8_t *out, const int32_t *counts, const int32_t *steps)
{
    for (int32_t a = 0; a < counts[0]; a++)
    for (int32_t b = 0; b < counts[1]; b++)
    for (int32_t c = 0; c < counts[2]; c++, in += counts[3])
        copy_bytes(out + a * steps[0] + b * steps[1] + c * steps[2], in, counts[3]);
}
