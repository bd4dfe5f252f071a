// The monitor on an Arduino Nano 33 BLE Sense, with TensorFlow Lite for Microcontrollers in place
// of the compiler's C: model_data.h holds the model as a byte array, an interpreter runs it in a
// tensor arena. All the rest are the files that the other boards use. `medlab board sketch` puts
// this file, those files and the two that it writes from the model into one folder for Arduino's
// tools.
// Front end: OUT to A0, LO+ to D10, LO- to D11. Predictions on USB, 115200 baud.
#include <Arduino.h>
#include <TensorFlowLite.h>
#include <mbed.h>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" {
#include "beats.h"
#include "hal.h"
#include "model.h"
#include "monitor.h"
#include "print.h"
}
#include "model_data.h"

// `medlab edge arena` prints the smallest arena that is enough.
constexpr size_t kArenaBytes = 12 * 1024;
constexpr int kSamplePin = A0, kLeadOffPins[] = {10, 11};
constexpr uint32_t kQueue = 64;

alignas(16) static uint8_t arena[kArenaBytes];
static tflite::MicroInterpreter *interpreter;

// --- what the monitor asks of a model: see model.h ---

int8_t *model_input(void) { return interpreter->input(0)->data.int8; }

const int8_t *model_output(void) { return interpreter->output(0)->data.int8; }

// A model that cannot be run must not leave an old answer behind.
void model_invoke(void) {
  if (interpreter->Invoke() != kTfLiteOk) {
    print("alarm: the model does not run\n");
    for (;;) delay(1000);
  }
}

static bool model_fits() {
  const TfLiteTensor *input = interpreter->input(0), *output = interpreter->output(0);
  return input->type == kTfLiteInt8 && input->bytes == MODEL_INPUT_SIZE &&
         output->type == kTfLiteInt8 && output->bytes == MODEL_OUTPUT_SIZE;
}

static const char *start_model() {
  static tflite::MicroMutableOpResolver<8> operators;
  operators.AddConv2D();
  operators.AddDepthwiseConv2D();
  operators.AddFullyConnected();
  operators.AddAveragePool2D();
  operators.AddMaxPool2D();
  operators.AddReshape();
  operators.AddExpandDims();
  operators.AddSoftmax();
  const tflite::Model *model = tflite::GetModel(model_data);
  if (model->version() != TFLITE_SCHEMA_VERSION) return "the model has another schema";
  static tflite::MicroInterpreter made(model, operators, arena, kArenaBytes);
  interpreter = &made;
  if (interpreter->AllocateTensors() != kTfLiteOk) return "the arena is too small for the model";
  return model_fits() ? nullptr : "the model has another window or other classes";
}

// --- what the monitor asks of a board: see hal.h ---

void hal_put(char byte) { Serial.write(byte); }

int hal_sense(int16_t *sample) {
  *sample = (int16_t)analogRead(kSamplePin);
  return 1;
}

int hal_lead_off(void) {
  return digitalRead(kLeadOffPins[0]) == HIGH || digitalRead(kLeadOffPins[1]) == HIGH;
}

// --- samples: a ticker wakes a thread of high priority, which may read the converter ---

struct Reading {
  int16_t sample;
  uint8_t lead_off;
};

static volatile Reading queue[kQueue];
static volatile uint32_t ticks, put, taken, lost;
static rtos::Thread sampler(osPriorityRealtime, 1024);
static rtos::EventFlags due;
static mbed::Ticker ticker;

static void keep_reading() {
  if (put - taken == kQueue) {
    lost = lost + 1;
    return;
  }
  int16_t sample;
  hal_sense(&sample);
  queue[put % kQueue].sample = sample;
  queue[put % kQueue].lead_off = (uint8_t)hal_lead_off();
  put = put + 1;
}

static void sample_for_ever() {
  static uint32_t seen;
  for (;;) {
    due.wait_any(1);
    keep_reading();
    lost = lost + (ticks - ++seen);  // ticks that came while this thread was kept from running
    seen = ticks;
  }
}

static void sample_is_due() {
  ticks = ticks + 1;
  due.set(1);
}

void setup() {
  Serial.begin(115200);
  analogReadResolution(12);
  for (int pin : kLeadOffPins) pinMode(pin, INPUT_PULLDOWN);
  const char *problem = start_model();
  while (problem) {
    print("alarm: ");
    print(problem);
    print("\n");
    delay(1000);
  }
  monitor_start();
  sampler.start(sample_for_ever);
  ticker.attach(sample_is_due, std::chrono::microseconds(1000000 / SAMPLE_RATE));
}

void loop() {
  static uint32_t lost_told;
  while (taken != put) {
    const int16_t sample = queue[taken % kQueue].sample;
    const int lead_off = queue[taken % kQueue].lead_off;
    taken = taken + 1;
    monitor_add(sample, lead_off);
  }
  if (lost != lost_told) {
    monitor_lost(lost - lost_told);
    lost_told = lost;
  }
}
