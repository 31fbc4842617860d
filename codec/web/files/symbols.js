// Payload of a tile -> its integers, by the entropy decoder in kernels.wasm.

import { AecError } from "./errors.js";

const ESCAPE_CLASSES = 24;
const RESIDUAL_LIMIT = 2 ** 15 - 1;
const WORD_BYTES = 4;

/** A stack of frequency tables in the memory of the kernels; see "Tables" in
 * FORMAT.md. */
export class Tables {
  constructor(kernels, minimum, length, frequency) {
    this.minimum = minimum;
    this.length = length;
    const longest = frequency.length / length.length;
    this.edges = Array.from(length, (count, table) => {
      const edges = new Int32Array(count + 1);
      for (let i = 0; i < count; i++)
        edges[i + 1] = edges[i] + frequency[table * longest + i];
      return kernels.put(edges);
    });
  }
}

/** Hyper-latents [cells, channels] and residuals [latents, channels] of a tile. */
export function decodeTile(model, qualityCode, payload, rows, columns) {
  const decoder = new Decoder(model.kernels, payload);
  try {
    const { hyper_channels, hyper_limit, skip_below } = model.config;
    const hyperCount = rows * columns * hyper_channels;
    const channels = Uint8Array.from(
      { length: hyperCount },
      (_, i) => i % hyper_channels,
    );
    const hyper = decoder.decode(channels, model.hyperTables(qualityCode));
    if (hyper.some((value) => Math.abs(value) > hyper_limit))
      throw new AecError("hyper-latents out of range");
    const index = model.tableIndex(hyper, [rows, columns], qualityCode);
    const coded = [];
    for (let i = 0; i < index.length; i++) if (index[i] >= skip_below) coded.push(i);
    const places = Int32Array.from(coded);
    const tables = Uint8Array.from(coded, (i) => index[i]);
    const residuals = new Int16Array(index.length);
    decoder.decode(tables, model.residualTables).forEach((value, i) => {
      if (Math.abs(value) > RESIDUAL_LIMIT)
        throw new AecError("residuals out of range");
      residuals[places[i]] = value;
    });
    decoder.finish();
    return { hyper, residuals };
  } finally {
    decoder.release();
  }
}

class Decoder {
  constructor(kernels, payload) {
    if (payload.length % WORD_BYTES)
      throw new AecError(
        `payload of ${payload.length} bytes is not a whole number of words`,
      );
    const last = payload.subarray(-WORD_BYTES);
    if (last.length && !last.some(Boolean))
      throw new AecError("payload ends in a zero word");
    this.kernels = kernels;
    this.words = kernels.put(payload);
    kernels.call.start(this.words, payload.length / WORD_BYTES);
  }

  /** Values for a table index each: tables ascending, then positions; then what
   * escaped. */
  decode(index, tables) {
    const { kernels } = this;
    const positions = Array.from({ length: 256 }, () => []);
    index.forEach((table, i) => positions[table].push(i));
    const values = new Int32Array(index.length);
    const escaped = [];
    const symbols = kernels.allocate(4 * Math.max(1, index.length));
    positions.forEach((places, table) => {
      if (!places.length) return;
      const count = tables.length[table];
      kernels.call.decode(tables.edges[table], count, symbols, places.length);
      const found = kernels.view(Int32Array, symbols, places.length);
      places.forEach((place, i) => {
        values[place] = found[i] + tables.minimum[table];
        if (found[i] === count - 1) escaped.push(place);
      });
    });
    kernels.release(symbols);
    escaped.sort((a, b) => a - b);
    const bits = escaped.map(() => kernels.call.decode_uniform(ESCAPE_CLASSES));
    escaped.forEach((place, i) => {
      const rest = bits[i] ? kernels.call.decode_uniform(2 ** bits[i]) : 0;
      const excess = 2 ** bits[i] + rest - 1;
      const minimum = tables.minimum[index[place]];
      const distance = excess >> 1;
      values[place] =
        excess & 1
          ? minimum - 1 - distance
          : minimum + tables.length[index[place]] - 1 + distance;
    });
    return values;
  }

  finish() {
    if (!this.kernels.call.finished())
      throw new AecError("payload is longer than its symbols");
  }

  release() {
    this.kernels.release(this.words);
  }
}
