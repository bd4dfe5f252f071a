"""Write small int8 .tflite files with the schema's object API: no converter, no training."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPTIONS = {
    "CONV_2D": schema.Conv2DOptionsT,
    "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptionsT,
    "FULLY_CONNECTED": schema.FullyConnectedOptionsT,
    "AVERAGE_POOL_2D": schema.Pool2DOptionsT,
    "MAX_POOL_2D": schema.Pool2DOptionsT,
    "MEAN": schema.ReducerOptionsT,
    "ADD": schema.AddOptionsT,
    "MUL": schema.MulOptionsT,
    "CONCATENATION": schema.ConcatenationOptionsT,
    "RESHAPE": schema.ReshapeOptionsT,
    "SOFTMAX": schema.SoftmaxOptionsT,
}
UNIONS = {"AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions"}
VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "PAD": 2, "EXPAND_DIMS": 1}
RELU, RELU6, SAME, VALID = 1, 3, 0, 1


class Maker:
    """A model that grows operator by operator; tensors are numbers."""

    def __init__(self, shape, scale=0.05, zero_point=-5):
        self.model = schema.ModelT()
        self.model.version, self.model.description = 3, "made by a test"
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.input = self.output = self.tensor(shape, scale, zero_point)

    def tensor(self, shape, scale=0.05, zero_point=0, data=None, axis=0, type_="INT8") -> int:
        """Add a tensor; scale may be a list, one per channel; data makes it constant."""
        tensor = schema.TensorT()
        tensor.shape, tensor.type = [int(n) for n in shape], getattr(schema.TensorType, type_)
        tensor.name, tensor.buffer = f"t{len(self.graph.tensors)}", 0
        if scale is not None:
            scales = np.atleast_1d(np.array(scale, np.float32))
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = np.full(len(scales), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            content = np.ascontiguousarray(data, {"INT8": np.int8, "INT32": np.int32}[type_])
            buffer.data = content.view(np.uint8).ravel()
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def whole(self, numbers) -> int:
        """Add constant int32 numbers without a scale, such as axes or paddings."""
        numbers = np.array(numbers, np.int32)
        return self.tensor(numbers.shape, None, data=numbers, type_="INT32")

    def add(self, kind, inputs, shape, scale=0.05, zero_point=0, **options) -> int:
        """Add an operator with one int8 output, which becomes the model's output."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = VERSIONS.get(kind, 2)
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = list(inputs)
        self.output = self.tensor(shape, scale, zero_point)
        operator.outputs = [self.output]
        if kind in OPTIONS:
            name = UNIONS.get(kind, OPTIONS[kind].__name__[:-1])
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = OPTIONS[kind]()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key), key
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        return self.output

    def scale_of(self, tensor: int) -> float:
        """Return an activation's scale."""
        return float(self.graph.tensors[tensor].quantization.scale[0])

    def shape_of(self, tensor: int) -> list[int]:
        """Return a tensor's shape."""
        return self.graph.tensors[tensor].shape

    def finish(self) -> bytes:
        """Return the file."""
        self.graph.inputs, self.graph.outputs = [self.input], [self.output]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def weighted(
    maker, rng, kind, source, kernel, out_shape, axis, factor=None, zero_point=-3, **options
):
    """Add a layer with random weights whose outputs fill the int8 range."""
    channels, per_channel = kernel[axis], kind != "FULLY_CONNECTED"
    data = rng.integers(-127, 128, kernel)
    inputs = data.size // channels
    spread = np.sqrt(inputs) * 74 * 74 / 60 if factor is None else 1 / factor
    scales = rng.uniform(0.002, 0.01, channels if per_channel else 1).astype(np.float32)
    out = float(np.float32(maker.scale_of(source) * scales.mean() * spread))
    weights = maker.tensor(kernel, scales, 0, data, axis)
    biases = rng.integers(-3000, 3000, channels)
    bias = maker.tensor([channels], scales * maker.scale_of(source), 0, biases, type_="INT32")
    return maker.add(kind, [source, weights, bias], out_shape, out, zero_point, **options)


def windows(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """Count the outputs along an axis."""
    span = (kernel - 1) * dilation + 1
    return -(-size // stride) if padding == SAME else -(-(size - span + 1) // stride)


def convolve(maker, rng, source, channels, kernel=(3, 3), strides=(1, 1), padding=SAME, **more):
    """Add a CONV_2D."""
    dilation = more.pop("dilation", (1, 1))
    _, height, width, depth = maker.shape_of(source)
    sides = zip((height, width), kernel, strides, dilation, strict=True)
    out = [1, *(windows(n, k, s, d, padding) for n, k, s, d in sides), channels]
    options = {
        "padding": padding,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
        "fusedActivationFunction": more.pop("activation", 0),
    }
    shape = (channels, *kernel, depth)
    return weighted(maker, rng, "CONV_2D", source, shape, out, 0, **more, **options)


def depthwise(
    maker, rng, source, kernel=(3, 3), strides=(1, 1), padding=SAME, multiplier=1, **more
):
    """Add a DEPTHWISE_CONV_2D."""
    dilation = more.pop("dilation", (1, 1))
    _, height, width, depth = maker.shape_of(source)
    sides = zip((height, width), kernel, strides, dilation, strict=True)
    channels = depth * multiplier
    out = [1, *(windows(n, k, s, d, padding) for n, k, s, d in sides), channels]
    options = {
        "padding": padding,
        "strideH": strides[0],
        "strideW": strides[1],
        "dilationHFactor": dilation[0],
        "dilationWFactor": dilation[1],
        "depthMultiplier": multiplier,
        "fusedActivationFunction": more.pop("activation", 0),
    }
    shape = (1, *kernel, channels)
    return weighted(maker, rng, "DEPTHWISE_CONV_2D", source, shape, out, 3, **more, **options)


def dense(maker, rng, source, channels, **more):
    """Add a FULLY_CONNECTED."""
    inputs = maker.shape_of(source)[-1]
    options = {"fusedActivationFunction": more.pop("activation", 0)}
    shape, out = (channels, inputs), [*maker.shape_of(source)[:-1], channels]
    if len(out) > 2:
        options["keepNumDims"] = True
    return weighted(maker, rng, "FULLY_CONNECTED", source, shape, out, 0, **more, **options)


def pool(
    maker, source, kind="AVERAGE_POOL_2D", kernel=(2, 2), strides=(2, 2), padding=SAME, activation=0
):
    """Add a pooling; its scale is its input's."""
    _, height, width, depth = maker.shape_of(source)
    sides = zip((height, width), kernel, strides, strict=True)
    out = [1, *(windows(n, k, s, 1, padding) for n, k, s in sides), depth]
    quantisation = maker.graph.tensors[source].quantization
    return maker.add(
        kind,
        [source],
        out,
        maker.scale_of(source),
        int(quantisation.zeroPoint[0]),
        padding=padding,
        filterHeight=kernel[0],
        filterWidth=kernel[1],
        strideH=strides[0],
        strideW=strides[1],
        fusedActivationFunction=activation,
    )
