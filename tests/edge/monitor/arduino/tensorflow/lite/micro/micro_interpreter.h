// A stand-in for the interpreter: the compiled model under other names answers.
#pragma once
#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/schema/schema_generated.h"

enum TfLiteStatus { kTfLiteOk, kTfLiteError };
enum TfLiteType { kTfLiteInt8 = 9 };

extern "C" {
int8_t *compiled_input(void);
void compiled_invoke(void);
const int8_t *compiled_output(void);
}

struct TfLiteTensor {
  TfLiteType type;
  size_t bytes;
  struct {
    int8_t *int8;
  } data;
};

namespace tflite {
struct MicroInterpreter {
  TfLiteTensor in, out;
  size_t arena_bytes;
  template <class Resolver>
  MicroInterpreter(const Model *, const Resolver &, uint8_t *, size_t size)
      : in{kTfLiteInt8, 256, {compiled_input()}},
        out{kTfLiteInt8, 4, {const_cast<int8_t *>(compiled_output())}},
        arena_bytes(size) {}
  TfLiteStatus AllocateTensors() { return arena_bytes < 1024 ? kTfLiteError : kTfLiteOk; }
  TfLiteTensor *input(int) { return &in; }
  TfLiteTensor *output(int) { return &out; }
  TfLiteStatus Invoke() {
    compiled_invoke();
    return kTfLiteOk;
  }
};
}  // namespace tflite
