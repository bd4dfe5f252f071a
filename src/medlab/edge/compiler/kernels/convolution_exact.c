/* Convolution, depthwise convolution and fully connected without any trick: for the layers whose sums
 * may pass 2^30, and for dilated depthwise ones. A group of outputs sees a group of inputs: one group is
 * a convolution, a group per channel is a depthwise one. */
struct convolution_exact {
    const int8_t *weights; /* output channel, row, column, input of the group */
    const int32_t *bias;   /* with the input's zero point folded in */
    const struct factor *factors;
    int32_t in_height, in_width, in_channels, out_height, out_width, out_channels;
    int32_t kernel_height, kernel_width, stride_y, stride_x, dilation_y, dilation_x;
    int32_t pad_top, pad_left, group_inputs, group_outputs;
    int32_t zero_point; /* of the output */
    int8_t padding, low, high;
};

static uint32_t sum_exactly(const struct convolution_exact *c, const int8_t *in, int32_t y, int32_t x,
                            int32_t channel)
{
    const int8_t *w = c->weights + channel * c->kernel_height * c->kernel_width * c->group_inputs;
    uint32_t sum = (uint32_t)c->bias[channel];
    in += channel / c->group_outputs * c->group_inputs;
    for (int32_t i = 0; i < c->kernel_height; i++)
        for (int32_t j = 0; j < c->kernel_width; j++) {
            int32_t row = y * c->stride_y - c->pad_top + i * c->dilation_y;
            int32_t column = x * c->stride_x - c->pad_left + j * c->dilation_x;
            int32_t inside = row >= 0 && row < c->in_height && column >= 0 && column < c->in_width;
            const int8_t *at = in + (row * c->in_width + column) * c->in_channels;
            for (int32_t k = 0; k < c->group_inputs; k++)
                sum += (uint32_t)((inside ? at[k] : c->padding) * *w++);
        }
    return sum;
}

static ALONE void convolution_exact(const struct convolution_exact *c, const int8_t *in, int8_t *out)
{
    for (int32_t y = 0; y < c->out_height; y++)
        for (int32_t x = 0; x < c->out_width; x++)
            for (int32_t i = 0; i < c->out_channels; i++) {
                int32_t sum = (int32_t)sum_exactly(c, in, y, x, i);
                sum = (int32_t)((uint32_t)rescale_exactly(sum, c->factors[i]) + (uint32_t)c->zero_point);
                *out++ = (int8_t)at_most(at_least(sum, c->low), c->high);
            }
}
