// A stand-in: operators are asked for by the names that the library has.
#pragma once

namespace tflite {
template <unsigned count>
struct MicroMutableOpResolver {
  unsigned used = 0;
  void AddConv2D() { used++; }
  void AddDepthwiseConv2D() { used++; }
  void AddFullyConnected() { used++; }
  void AddAveragePool2D() { used++; }
  void AddMaxPool2D() { used++; }
  void AddReshape() { used++; }
  void AddExpandDims() { used++; }
  void AddSoftmax() { used++; }
};
}  // namespace tflite
