/* A function of one int8 value is a table of 256. */
static ALONE void look_up(const int8_t *table, const int8_t *in, int8_t *out, int32_t count)
{
    for (; count > 0; count--)
        *out++ = table[*in++ + 128];
}
