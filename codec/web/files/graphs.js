// LiteRT graphs, run by kernels.wasm: the signature `exact` of the graphs of a bundle.
// Their file format is FlatBuffers with the schema of TensorFlow Lite.

const SIGNATURE = "exact";
const FLOAT32 = 0;
const FLOAT16 = 1;
// Operators that the graphs have, by their number in the schema.
const OPERATORS = {
  0: "add",
  2: "concatenate",
  3: "convolve",
  5: "depthToSpace",
  6: "dequantize",
  8: "floor",
  18: "multiply",
  19: "relu",
  26: "spaceToDepth",
  41: "subtract",
  45: "slice",
  49: "split",
  53: "cast",
  57: "minimum",
  98: "leakyRelu",
  102: "splitUnevenly",
  116: "round",
};
const COMBINE = { add: 0, subtract: 1, multiply: 2, minimum: 3 };
const CHANGE = { relu: 0, leakyRelu: 0, floor: 1, round: 2 };
const SAME = 0; // zeros around the input, so that the output is as large; or VALID
// Inputs times outputs of a convolution for which Winograd's weights, 36 for each, are
// worth their memory. Larger ones are at a resolution where they cost little.
const WINOGRAD_MAX = 2 ** 15;
const BLOCK_PX = 4;
const SCRATCH = 36 * 24; // floats for each input and each output

/** A FlatBuffer; positions are of tables and vectors. */
class Flat {
  constructor(bytes) {
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  follow(position) {
    return position + this.data.getUint32(position, true);
  }

  /** Position of a field of a table; 0 if it is left out. */
  field(table, number) {
    const layout = table - this.data.getInt32(table, true);
    const entry = 4 + 2 * number;
    if (entry >= this.data.getUint16(layout, true)) return 0;
    const offset = this.data.getUint16(layout + entry, true);
    return offset && table + offset;
  }

  integer(table, number, otherwise = 0) {
    const at = this.field(table, number);
    return at ? this.data.getInt32(at, true) : otherwise;
  }

  float(table, number) {
    const at = this.field(table, number);
    return at ? this.data.getFloat32(at, true) : 0;
  }

  long(table, number) {
    const at = this.field(table, number);
    return at ? Number(this.data.getBigUint64(at, true)) : 0;
  }

  byte(table, number) {
    const at = this.field(table, number);
    return at ? this.data.getInt8(at) : 0;
  }

  table(table, number) {
    return this.follow(this.field(table, number));
  }

  span(table, number) {
    const at = this.field(table, number);
    if (!at) return [0, 0];
    const vector = this.follow(at);
    return [vector + 4, this.data.getUint32(vector, true)];
  }

  text(table, number) {
    const [start, length] = this.span(table, number);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }

  tables(table, number) {
    const [start, length] = this.span(table, number);
    return Array.from({ length }, (_, i) => this.follow(start + 4 * i));
  }

  integers(table, number) {
    const [start, length] = this.span(table, number);
    return Array.from({ length }, (_, i) => this.data.getInt32(start + 4 * i, true));
  }
}

/** One graph, its weights in the memory of the kernels. Arrays are [rows, columns,
 * channels], float32. If it is to be `exact`, sums of integers are. */
export class Graph {
  constructor(kernels, bytes, exact = false) {
    this.kernels = kernels;
    this.exact = exact;
    const flat = new Flat(bytes);
    const root = flat.follow(0);
    const signature = flat
      .tables(root, 7)
      .find((table) => flat.text(table, 2) === SIGNATURE);
    const subgraph = flat.tables(root, 2)[flat.integer(signature, 4)];
    const named = (number) =>
      flat
        .tables(signature, number)
        .map((table) => [flat.text(table, 0), flat.integer(table, 1)]);
    this.inputs = named(0);
    this.outputs = named(1);
    const codes = flat
      .tables(root, 1)
      .map((table) => Math.max(flat.byte(table, 0), flat.integer(table, 3)));
    const buffers = flat.tables(root, 4);
    this.tensors = flat.tables(subgraph, 0).map((table) => {
      const data = contents(flat, buffers[flat.integer(table, 2)]);
      return { shape: flat.integers(table, 0), type: flat.byte(table, 1), data };
    });
    this.constants = new Map(); // by tensor: { address, shape }
    this.steps = [];
    for (const table of flat.tables(subgraph, 3)) {
      const kind = OPERATORS[codes[flat.integer(table, 0)]];
      if (!kind) throw new Error("a graph has an operator that is not known here");
      const ins = flat.integers(table, 1);
      const outs = flat.integers(table, 2);
      if (kind === "dequantize") this.tensors[outs[0]].data = this.tensors[ins[0]].data;
      else this.steps.push(this.step(flat, table, kind, ins, outs));
    }
    this.lastUses = new Map();
    this.steps.forEach((step, i) => step.ins.forEach((n) => this.lastUses.set(n, i)));
    for (const tensor of this.tensors) delete tensor.data;
  }

  step(flat, table, kind, ins, outs) {
    const step = { kind, ins, outs };
    const options = flat.field(table, 4) && flat.table(table, 4);
    if (kind === "convolve") {
      const [outputs, rows, columns, own] = this.tensors[ins[1]].shape;
      const same = flat.byte(options, 0) === SAME;
      const plain = [1, 2, 4, 5].every((n) => flat.integer(options, n, 1) === 1);
      const odd = rows !== columns || outputs % 8 || (same && rows % 2 === 0);
      if (!plain || odd || flat.byte(options, 3)) throw new Error("odd convolution");
      const taps = rows * columns * own;
      Object.assign(step, { kernel: rows, own, outputs, ins: ins.slice(0, 1) });
      step.border = same ? (rows - 1) / 2 : 0;
      step.slope = 1; // no activation
      step.winograd = !this.exact && rows === 3 && own * outputs <= WINOGRAD_MAX;
      const weights = this.floats(ins[1]);
      const { call } = this.kernels;
      step.weights = this.kernels.allocate(
        4 * outputs * (step.winograd ? 36 * own : taps),
      );
      if (step.winograd) call.pack_winograd(weights, step.weights, outputs, own);
      else call.pack(weights, step.weights, outputs, taps);
      this.kernels.release(weights);
      step.bias = this.floats(ins[2]);
      return step;
    }
    if (kind === "depthToSpace" || kind === "spaceToDepth")
      step.side = flat.integer(options, 0);
    if (kind === "leakyRelu") step.slope = flat.float(options, 0);
    if (kind === "concatenate") step.axis = (flat.integer(options, 0) + 4) % 4;
    if (kind === "split") step.ins = ins.slice(1);
    if (kind === "splitUnevenly") step.ins = ins.slice(0, 1);
    if (kind === "slice")
      Object.assign(step, { ins: ins.slice(0, 1), ...this.spans(flat, options, ins) });
    for (const n of step.ins) {
      const { shape, type, data } = this.tensors[n];
      if (data.length && !this.constants.has(n))
        this.constants.set(n, { address: this.floats(n), shape: shape.slice(-3) });
    }
    return step;
  }

  /** The [start, stop] of the rows and columns that a slice takes, counted from the end
   * if they are negative; no stop is the end. */
  spans(flat, options, [, ...ins]) {
    const [begin, end, strides] = ins.map((number) => this.integers(number));
    const [fromStart, toEnd, ...rest] = [0, 1, 2, 3, 4].map((n) =>
      flat.integer(options, n),
    );
    const [images, rows, columns, channels] = begin.map((start, axis) => [
      fromStart & (1 << axis) ? 0 : start,
      toEnd & (1 << axis) ? undefined : end[axis],
    ]);
    const whole = [images, channels].every(([start, stop]) => !start && !stop);
    if (!whole || rest.some(Boolean) || strides.some((step) => step !== 1))
      throw new Error("odd slice");
    return { rows, columns };
  }

  integers(number) {
    const { data } = this.tensors[number];
    return [...new Int32Array(data.slice().buffer)];
  }

  /** Address of a constant as float32. */
  floats(number) {
    const { data } = this.tensors[number];
    const size = this.tensors[number].shape.reduce((a, b) => a * b, 1);
    if (data.length === 4 * size) return this.kernels.put(data.slice());
    if (data.length !== 2 * size) throw new Error("a constant is of another type");
    const narrow = this.kernels.put(data.slice());
    const address = this.kernels.allocate(4 * size);
    this.kernels.call.widen(narrow, address, size);
    this.kernels.release(narrow);
    return address;
  }

  /** Outputs by name of inputs by name, both { data, shape }. An output that the graph
   * makes bytes of is a Uint8Array, the others are Float32Arrays. */
  run(inputs) {
    const { kernels } = this;
    const made = new Map(this.constants);
    const own = new Set();
    for (const [name, number] of this.inputs) {
      const { data, shape } = inputs[name];
      made.set(number, { address: kernels.put(data), shape });
      own.add(number);
    }
    const wanted = new Set(this.outputs.map(([, number]) => number));
    this.steps.forEach((step, i) => {
      const ins = step.ins.map((number) => made.get(number));
      this[step.kind](step, ins).forEach((array, k) => {
        made.set(step.outs[k], array);
        own.add(step.outs[k]);
      });
      for (const number of [...step.ins, ...step.outs]) {
        const done = (this.lastUses.get(number) ?? i) <= i;
        if (done && own.has(number) && !wanted.has(number)) {
          kernels.release(made.get(number).address);
          own.delete(number);
        }
      }
    });
    const found = {};
    for (const [name, number] of this.outputs) {
      const { address, shape, bytes } = made.get(number);
      const kind = bytes ? Uint8Array : Float32Array;
      found[name] = { shape, data: kernels.view(kind, address, count(shape)).slice() };
    }
    own.forEach((number) => kernels.release(made.get(number).address));
    return found;
  }

  make(shape) {
    return { address: this.kernels.allocate(4 * count(shape)), shape };
  }

  convolve(step, [array]) {
    const { kernel, own, outputs, weights, bias, border, slope } = step;
    const { call } = this.kernels;
    const inputs = array.shape[2];
    const [rows, columns] = array.shape.map((side) => side + 2 * border - kernel + 1);
    const out = this.make([rows, columns, outputs]);
    const multiple = step.winograd ? BLOCK_PX : 1;
    const [height, width] = [rows, columns].map(
      (side) => Math.ceil(side / multiple) * multiple + kernel - 1,
    );
    let from = array;
    if (height !== array.shape[0] || width !== array.shape[1]) {
      from = this.make([height, width, inputs]);
      const sizes = [...array.shape, border, height, width];
      call.surround(array.address, from.address, ...sizes);
    }
    const addresses = [from.address, weights, bias, out.address];
    if (step.winograd) {
      const scratch = this.make([SCRATCH, inputs + outputs, 1]);
      const zeros = this.kernels.put(new Float32Array(outputs));
      const sizes = [rows, columns, inputs, outputs];
      call.convolve_winograd(...addresses, ...sizes, slope, scratch.address, zeros);
      this.kernels.release(scratch.address);
      this.kernels.release(zeros);
    } else {
      const sizes = [rows, columns, inputs, outputs, inputs / own, kernel];
      call.convolve(...addresses, ...sizes, slope);
    }
    if (from !== array) this.kernels.release(from.address);
    return [out];
  }

  combine({ kind }, [a, b]) {
    if (count(a.shape) < count(b.shape) && kind !== "subtract") [a, b] = [b, a];
    const out = this.make(a.shape);
    const sizes = [count(a.shape), count(b.shape)];
    this.kernels.call.combine(
      COMBINE[kind],
      a.address,
      b.address,
      out.address,
      ...sizes,
    );
    return [out];
  }

  change({ kind, slope = 0 }, [array]) {
    const out = this.make(array.shape);
    const size = count(array.shape);
    this.kernels.call.change(CHANGE[kind], array.address, out.address, size, slope);
    return [out];
  }

  cast(_, [array]) {
    const out = { ...this.make(array.shape), bytes: true };
    this.kernels.call.to_bytes(array.address, out.address, count(array.shape));
    return [out];
  }

  depthToSpace({ side }, [array]) {
    const [rows, columns, channels] = array.shape;
    const out = this.make([rows * side, columns * side, channels / side ** 2]);
    const sizes = [rows, columns, channels / side ** 2, side];
    this.kernels.call.spread(array.address, out.address, ...sizes, 0);
    return [out];
  }

  spaceToDepth({ side }, [array]) {
    const [rows, columns, channels] = array.shape;
    const out = this.make([rows / side, columns / side, channels * side ** 2]);
    const sizes = [rows / side, columns / side, channels, side];
    this.kernels.call.spread(out.address, array.address, ...sizes, 1);
    return [out];
  }

  /** The parts of the channels of an array, as wide as the graph says. */
  split({ outs }, [array]) {
    const [rows, columns, channels] = array.shape;
    let start = array.address;
    return outs.map((number) => {
      const width = this.tensors[number].shape.at(-1);
      const out = this.make([rows, columns, width]);
      const cells = rows * columns;
      this.kernels.call.copy(start, channels, out.address, width, width, cells);
      start += 4 * width;
      return out;
    });
  }

  /** Arrays side by side along an axis, of [1, rows, columns, channels]. */
  concatenate({ axis }, arrays) {
    const shape = [...arrays[0].shape];
    shape[axis - 1] = arrays.reduce((sum, array) => sum + array.shape[axis - 1], 0);
    const out = this.make(shape);
    const runs = count(shape.slice(0, axis - 1));
    const whole = count(shape) / runs;
    let to = out.address;
    for (const array of arrays) {
      const width = count(array.shape) / runs;
      this.kernels.call.copy(array.address, width, to, whole, width, runs);
      to += 4 * width;
    }
    return [out];
  }

  slice(step, [array]) {
    const [rows, columns, channels] = array.shape;
    const span = ([start, stop], size) =>
      [start, stop ?? size].map((edge) => (edge < 0 ? size + edge : Math.min(edge, size)));
    const [top, bottom] = span(step.rows, rows);
    const [left, right] = span(step.columns, columns);
    const out = this.make([bottom - top, right - left, channels]);
    const first = array.address + 4 * (top * columns + left) * channels;
    const width = (right - left) * channels;
    const { copy } = this.kernels.call;
    copy(first, columns * channels, out.address, width, width, bottom - top);
    return [out];
  }
}
for (const kind of Object.keys(COMBINE))
  Graph.prototype[kind] = Graph.prototype.combine;
for (const kind of Object.keys(CHANGE)) Graph.prototype[kind] = Graph.prototype.change;
Graph.prototype.splitUnevenly = Graph.prototype.split;

/** The bytes of a buffer: in the FlatBuffer, or after it. */
function contents(flat, buffer) {
  const offset = flat.long(buffer, 1);
  const [start, length] =
    offset > 1 ? [offset, flat.long(buffer, 2)] : flat.span(buffer, 0);
  return flat.bytes.subarray(start, start + length);
}

function count(shape) {
  return shape.reduce((a, b) => a * b, 1);
}
