/* What of the decoder is slow: convolutions, the other operators of the graphs, and the
entropy decoder. Compiled to kernels.wasm, and with fused multiply-adds to
kernels_fma.wasm, by tests/make_kernels.py.

Arrays are float32, [rows, columns, channels], one after the other in memory that
JavaScript allocates; `kernels.js` says how. Kernels read up to READ_AHEAD_BYTES beyond an
array, and do not use what they find there. */

#include <stdint.h>
#include <wasm_simd128.h>

#define EXPORT __attribute__((visibility("default")))
#define PIXELS 6   /* of a block of the convolution */
#define CHANNELS 8 /* of such a block, two vectors */

typedef v128_t vector;

EXPORT const char source[] = SOURCE_SHA256;

/* Larger of a value and its multiple by a `slope` of at most 1: 1 changes nothing, 0 is
a ReLU, between them it leaks. */
static inline vector activated(vector value, float slope) {
  return wasm_f32x4_max(value, wasm_f32x4_mul(value, wasm_f32x4_splat(slope)));
}

static inline vector multiply_add(vector a, vector b, vector sum) {
#ifdef __wasm_relaxed_simd__
  return wasm_f32x4_relaxed_madd(a, b, sum);
#else
  return wasm_f32x4_add(sum, wasm_f32x4_mul(a, b));
#endif
}

/* float16 -> float32; no NaN and no infinities occur. */
EXPORT void widen(const uint16_t *from, float *to, int count) {
  for (int i = 0; i < count; i++) {
    union { uint32_t bits; float value; } out;
    uint32_t half = from[i];
    out.bits = (half & 0x7fff) << 13;
    out.value *= 0x1p112f; /* the difference of the biases; right for subnormals, too */
    out.bits |= (half & 0x8000) << 16;
    to[i] = out.value;
  }
}

/* Weights [outputs, taps] of a convolution -> [outputs / CHANNELS, taps, CHANNELS]. */
EXPORT void pack(const float *from, float *to, int outputs, int taps) {
  for (int o = 0; o < outputs; o += CHANNELS)
    for (int t = 0; t < taps; t++)
      for (int c = 0; c < CHANNELS; c++) *to++ = from[(o + c) * taps + t];
}

/* An array with zeros around it: `border` above and to the left, and as many as it takes
to the given height and width. */
EXPORT void surround(const float *from, float *to, int rows, int columns, int channels,
                     int border, int height, int whole_width) {
  int width = whole_width * channels, side = border * channels;
  __builtin_memset(to, 0, sizeof(float) * width * height);
  for (int y = 0; y < rows; y++)
    __builtin_memcpy(to + (y + border) * width + side, from + y * columns * channels,
                     sizeof(float) * columns * channels);
}

/* `count` pixels, at most PIXELS, of CHANNELS outputs. Taps of one kernel row lie one
after the other in the input: `run` of them, in `row_count` rows `row` apart. */
static inline void block(const float *in, int step, int row, int row_count, int run,
                         const float *weights, const float *bias, float *out,
                         int out_step, int count, float slope) {
  vector low[PIXELS], high[PIXELS];
  for (int p = 0; p < PIXELS; p++) {
    low[p] = wasm_v128_load(bias);
    high[p] = wasm_v128_load(bias + 4);
  }
  for (int y = 0; y < row_count; y++) {
    const float *from = in + y * row;
    for (int t = 0; t < run; t++) {
      vector first = wasm_v128_load(weights), second = wasm_v128_load(weights + 4);
      weights += CHANNELS;
#pragma clang loop unroll(full)
      for (int p = 0; p < PIXELS; p++) {
        vector value = wasm_v128_load32_splat(from + p * step + t);
        low[p] = multiply_add(value, first, low[p]);
        high[p] = multiply_add(value, second, high[p]);
      }
    }
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < PIXELS; p++) {
    vector one = low[p], other = high[p];
    if (slope < 1) {
      one = activated(one, slope);
      other = activated(other, slope);
    }
    if (p < count) {
      wasm_v128_store(out + p * out_step, one);
      wasm_v128_store(out + p * out_step + 4, other);
    }
  }
}

/* Convolution of an array with kernel - 1 more rows and columns than what it makes, which
are `rows` and `columns`. Weights as `pack` gives them; groups share inputs and outputs
evenly. */
EXPORT void convolve(const float *in, const float *weights, const float *bias, float *out,
                     int rows, int columns, int inputs, int outputs, int groups,
                     int kernel, float slope) {
  int row = (columns + kernel - 1) * inputs, own = inputs / groups;
  /* With several groups, kernels are 1 x 1, so that a run is within a pixel. */
  int run = kernel * own, taps = kernel * run, per_group = outputs / groups;
  for (int y = 0; y < rows; y++)
    for (int o = 0; o < outputs; o += CHANNELS)
      for (int x = 0; x < columns; x += PIXELS) {
        int left = columns - x;
        block(in + y * row + x * inputs + o / per_group * own, inputs, row, kernel, run,
              weights + o * taps, bias + o, out + (y * columns + x) * outputs + o,
              outputs, left < PIXELS ? left : PIXELS, slope);
      }
}

/* Convolutions of 3 x 3 by Winograd's F(4 x 4, 3 x 3): 36 multiplications for 16 pixels
where it would be 144. Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016. Not for the integer scale network: it is inexact. */
#define OUT 4 /* pixels of a side of what a block makes */
#define IN 6  /* of what it sees */
#define BLOCKS 24 /* worked on at once */

static const float KERNEL_TRANSFORM[IN][3] = {
    {1.f / 4, 0, 0},           {-1.f / 6, -1.f / 6, -1.f / 6},
    {-1.f / 6, 1.f / 6, -1.f / 6}, {1.f / 24, 1.f / 12, 1.f / 6},
    {1.f / 24, -1.f / 12, 1.f / 6}, {0, 0, 1}};

/* Weights [outputs, 3, 3, inputs] -> [36, outputs / CHANNELS, inputs, CHANNELS]. */
EXPORT void pack_winograd(const float *from, float *to, int outputs, int inputs) {
  for (int o = 0; o < outputs; o++)
    for (int i = 0; i < inputs; i++)
      for (int u = 0; u < IN; u++)
        for (int v = 0; v < IN; v++) {
          float sum = 0;
          for (int y = 0; y < 3; y++)
            for (int x = 0; x < 3; x++)
              sum += KERNEL_TRANSFORM[u][y] * KERNEL_TRANSFORM[v][x] *
                     from[((o * 3 + y) * 3 + x) * inputs + i];
          int group = (u * IN + v) * outputs / CHANNELS + o / CHANNELS;
          to[(group * inputs + i) * CHANNELS + o % CHANNELS] = sum;
        }
}

static inline vector scaled(float factor, vector a, vector b) { /* factor a + b */
  return multiply_add(wasm_f32x4_splat(factor), a, b);
}

static inline void transform_in(vector *d, int step) {
  vector a = d[0], b = d[step], c = d[2 * step], e = d[3 * step], f = d[4 * step],
         g = d[5 * step];
  vector fc = scaled(-4, c, f), eb = scaled(-4, b, e);
  vector half = wasm_f32x4_sub(f, c), twice = wasm_f32x4_sub(e, b);
  twice = wasm_f32x4_add(twice, twice);
  d[0] = scaled(4, a, scaled(-5, c, f));
  d[step] = wasm_f32x4_add(fc, eb);
  d[2 * step] = wasm_f32x4_sub(fc, eb);
  d[3 * step] = wasm_f32x4_add(half, twice);
  d[4 * step] = wasm_f32x4_sub(half, twice);
  d[5 * step] = scaled(4, b, scaled(-5, e, g));
}

static inline void transform_out(vector *m, int step) {
  vector sum = wasm_f32x4_add(m[step], m[2 * step]);
  vector difference = wasm_f32x4_sub(m[step], m[2 * step]);
  vector far_sum = wasm_f32x4_add(m[3 * step], m[4 * step]);
  vector far = wasm_f32x4_sub(m[3 * step], m[4 * step]);
  m[0] = wasm_f32x4_add(m[0], wasm_f32x4_add(sum, far_sum));
  m[step] = scaled(2, far, difference);
  m[2 * step] = scaled(4, far_sum, sum);
  m[3 * step] = wasm_f32x4_add(m[5 * step], scaled(8, far, difference));
}

/* As `convolve`, with one group. The input has one row and column of zeros before it, and
at least one after it, to multiples of OUT. `scratch` has 36 BLOCKS (inputs + outputs)
floats, `nothing` as many zeros as there are outputs. */
EXPORT void convolve_winograd(const float *in, const float *weights, const float *bias,
                              float *out, int rows, int columns, int inputs, int outputs,
                              float slope, float *scratch, const float *nothing) {
  int across = (columns + OUT - 1) / OUT, count = across * ((rows + OUT - 1) / OUT);
  int row = (across * OUT + 2) * inputs;
  float *seen = scratch, *made = scratch + IN * IN * BLOCKS * inputs;
  vector d[IN * IN];
  for (int first = 0; first < count; first += BLOCKS) {
    int blocks = count - first < BLOCKS ? count - first : BLOCKS;
    for (int b = 0; b < blocks; b++) {
      int y = (first + b) / across * OUT, x = (first + b) % across * OUT;
      for (int c = 0; c < inputs; c += 4) {
        for (int i = 0; i < IN * IN; i++)
          d[i] = wasm_v128_load(in + (y + i / IN) * row + (x + i % IN) * inputs + c);
        for (int i = 0; i < IN; i++) transform_in(d + i, IN);
        for (int i = 0; i < IN; i++) transform_in(d + i * IN, 1);
        for (int i = 0; i < IN * IN; i++)
          wasm_v128_store(seen + (i * BLOCKS + b) * inputs + c, d[i]);
      }
    }
    for (int i = 0; i < IN * IN; i++)
      for (int o = 0; o < outputs; o += CHANNELS)
        for (int b = 0; b < blocks; b += PIXELS)
          block(seen + (i * BLOCKS + b) * inputs, inputs, 0, 1, inputs,
                weights + (i * outputs + o) * inputs, nothing + o,
                made + (i * BLOCKS + b) * outputs + o, outputs,
                blocks - b < PIXELS ? blocks - b : PIXELS, 1);
    for (int b = 0; b < blocks; b++) {
      int y = (first + b) / across * OUT, x = (first + b) % across * OUT;
      for (int c = 0; c < outputs; c += 4) {
        for (int i = 0; i < IN * IN; i++)
          d[i] = wasm_v128_load(made + (i * BLOCKS + b) * outputs + c);
        for (int i = 0; i < IN; i++) transform_out(d + i, IN);
        for (int i = 0; i < OUT; i++) transform_out(d + i * IN, 1);
        vector add = wasm_v128_load(bias + c);
        for (int i = 0; i < OUT && y + i < rows; i++)
          for (int k = 0; k < OUT && x + k < columns; k++) {
            vector value = wasm_f32x4_add(d[i * IN + k], add);
            if (slope < 1) value = activated(value, slope);
            wasm_v128_store(out + ((y + i) * columns + x + k) * outputs + c, value);
          }
      }
    }
  }
}

enum { ADD, SUB, MUL, MINIMUM };

static inline vector combined(vector a, vector b, int operator) {
  if (operator == ADD) return wasm_f32x4_add(a, b);
  if (operator == SUB) return wasm_f32x4_sub(a, b);
  if (operator == MUL) return wasm_f32x4_mul(a, b);
  return wasm_f32x4_min(a, b);
}

/* a and b -> out, element by element; b is repeated after `period` elements. */
EXPORT void combine(int operator, const float *a, const float *b, float *out, int count,
                    int period) {
  if (period % 4) /* one number, or few: the arrays may be longer than they say */
    for (int i = 0, j = 0; i < count; i++, j = j + 1 < period ? j + 1 : 0)
      out[i] = wasm_f32x4_extract_lane(
          combined(wasm_f32x4_splat(a[i]), wasm_f32x4_splat(b[j]), operator), 0);
  else
    for (int i = 0, j = 0; i < count; i += 4, j = j + 4 < period ? j + 4 : 0)
      wasm_v128_store(
          out + i, combined(wasm_v128_load(a + i), wasm_v128_load(b + j), operator));
}

enum { ACTIVATE, FLOOR, ROUND };

EXPORT void change(int operator, const float *in, float *out, int count, float slope) {
  for (int i = 0; i < count; i += 4) {
    vector value = wasm_v128_load(in + i);
    if (operator == ACTIVATE) value = activated(value, slope);
    if (operator == FLOOR) value = wasm_f32x4_floor(value);
    if (operator == ROUND) value = wasm_f32x4_nearest(value);
    wasm_v128_store(out + i, value);
  }
}

EXPORT void to_bytes(const float *in, uint8_t *out, int count) {
  for (int i = 0; i < count; i++) out[i] = (uint8_t)in[i];
}

/* `rows` runs of `width` floats; they begin so many floats apart. */
EXPORT void copy(const float *from, int from_step, float *to, int to_step, int width,
                 int rows) {
  for (int i = 0; i < rows; i++)
    __builtin_memcpy(to + i * to_step, from + i * from_step, sizeof(float) * width);
}

/* Blocks of `side` x `side` cells of `channels` <-> one cell with all of their channels.
`rows` and `columns` count the larger cells. */
EXPORT void spread(const float *deep, float *wide, int rows, int columns, int channels,
                   int side, int back) {
  int run = side * channels;
  for (int y = 0; y < rows; y++)
    for (int dy = 0; dy < side; dy++)
      for (int x = 0; x < columns; x++) {
        const float *one = deep + ((y * columns + x) * side + dy) * run;
        const float *other = wide + ((y * side + dy) * columns + x) * run;
        if (back)
          __builtin_memcpy((float *)one, other, sizeof(float) * run);
        else
          __builtin_memcpy((float *)other, one, sizeof(float) * run);
      }
}

/* The entropy decoder: constriction's AnsCoder, with 64 bits of state and words of 32.
See "Payload of a tile" in FORMAT.md. */
#define CODER_BITS 24
#define TABLE_BITS 8 /* by which probabilities are finer than frequencies */

static uint64_t state;
static const uint32_t *words;
static int words_left;

static void next_word(void) {
  if (words_left) state = state << 32 | words[--words_left];
}

EXPORT void start(const uint32_t *payload, int word_count) {
  state = 0;
  words = payload;
  words_left = word_count;
  next_word();
  next_word();
}

/* Whether all words are used up, and nothing is left in the state. */
EXPORT int finished(void) { return !words_left && !state; }

static void take(uint32_t start, uint32_t probability) {
  uint32_t quantile = state & ((1 << CODER_BITS) - 1);
  state = (state >> CODER_BITS) * probability + (quantile - start);
  if (state < (uint64_t)1 << 32) next_word();
}

/* `count` symbols of the table whose symbol s has the frequencies from edges[s] to
edges[s + 1]. */
EXPORT void decode(const int32_t *edges, int symbols, int32_t *out, int count) {
  for (int i = 0; i < count; i++) {
    int32_t level = (state & ((1 << CODER_BITS) - 1)) >> TABLE_BITS;
    int low = 0, high = symbols; /* edges[low] <= level < edges[high] */
    while (high - low > 1) {
      int middle = (low + high) / 2;
      if (edges[middle] <= level) low = middle; else high = middle;
    }
    take((uint32_t)edges[low] << TABLE_BITS,
         (uint32_t)(edges[low + 1] - edges[low]) << TABLE_BITS);
    out[i] = low;
  }
}

/* A number below `range`, of which all are as likely. */
EXPORT uint32_t decode_uniform(uint32_t range) {
  uint32_t each = (1 << CODER_BITS) / range;
  uint32_t found = (state & ((1 << CODER_BITS) - 1)) / each;
  if (found >= range - 1) {
    found = range - 1;
    take(found * each, (1 << CODER_BITS) - found * each);
  } else
    take(found * each, each);
  return found;
}
