// Models: their files, fetched once and kept, and what they are to the decoder.

import { QUALITY_CODE_MAX, hex } from "./container.js";
import { AecError } from "./errors.js";
import { Graph } from "./graphs.js";
import { Tables } from "./symbols.js";

const CACHE = "aecodec-models";
const ROOT = new URL("models/", import.meta.url);

let manifest;

/** Model id -> { name, digest, files: { file: { bytes, sha256 } } }. */
function models() {
  manifest ??= fetched(new URL("models.json", ROOT)).then((r) => r.json());
  manifest.catch(() => (manifest = undefined)); // so that it is tried again
  return manifest;
}

async function fetched(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: status ${response.status}`);
  return response;
}

export async function modelName(id) {
  return (await models())[id]?.name ?? `model ${id}`;
}

/** The released model that a file was made with. */
export async function modelOf(header) {
  const known = await models();
  const model = known[header.modelId];
  if (!model)
    throw new AecError(
      `file needs model ${header.modelId}, which this program does not have ` +
        `(it has ${Object.keys(known).join(", ")})`,
    );
  const here = model.digest.slice(0, 8);
  if (here !== header.digest)
    throw new AecError(
      `file was made with another model ${header.modelId}, perhaps an adapted ` +
        `one (bundle ${header.digest}, here ${here})`,
    );
  return model;
}

/** The bytes of a file of a model: from the cache, or fetched and put there. */
export async function modelFile(model, file) {
  const { sha256 } = model.files[file];
  const url = new URL(`${model.name}/${file}?sha256=${sha256}`, ROOT);
  const cache = await globalThis.caches?.open(CACHE).catch(() => null);
  const kept = await cache?.match(url);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if (await isRight(bytes, sha256)) return bytes;
    await cache.delete(url);
  }
  const bytes = new Uint8Array(await (await fetched(url)).arrayBuffer());
  if (!(await isRight(bytes, sha256)))
    throw new Error(`${url} is damaged: it is not the file released`);
  const copy = new Response(bytes, {
    headers: { "Content-Type": "application/octet-stream" },
  });
  await cache?.put(url, copy).catch(() => {}); // no room
  return bytes;
}

async function isRight(bytes, sha256) {
  if (!globalThis.crypto?.subtle) return true; // only in secure contexts
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) === sha256;
}

/** What decodes the symbols of a model's files. */
export class SymbolModel {
  static async load(kernels, model) {
    const names = ["config.json", "arrays.npz", "scales.tflite"];
    const files = await Promise.all(names.map((name) => modelFile(model, name)));
    return new SymbolModel(kernels, files[0], await arraysOf(files[1]), files[2]);
  }

  constructor(kernels, config, arrays, scales) {
    this.kernels = kernels;
    this.config = JSON.parse(new TextDecoder().decode(config));
    this.arrays = arrays;
    this.scales = new Graph(kernels, scales, true);
    this.residualTables = this.tables("residual");
    this.hyperSets = Array.from({ length: this.config.hyper_table_sets }, (_, i) =>
      this.tables(`hyper_${i}`),
    );
  }

  tables(name) {
    const parts = ["minimum", "length", "frequency"];
    const arrays = parts.map((part) => this.arrays[`${name}_${part}`].data);
    return new Tables(this.kernels, ...arrays);
  }

  hyperTables(qualityCode) {
    return this.hyperSets[nearestFraction(qualityCode, this.hyperSets.length - 1)];
  }

  /** The table of every residual of a tile of [rows, columns] cells. */
  tableIndex(hyper, [rows, columns], qualityCode) {
    const shape = [rows, columns, this.config.hyper_channels];
    const offset = nearestFraction(qualityCode, this.config.index_offset_max);
    const { index } = this.scales.run({
      hyper_latents: { data: Float32Array.from(hyper), shape },
      offset: { data: Float32Array.of(offset), shape: [1, 1, 1] },
    });
    return index.data;
  }

  /** What the networks are told of a quality: `gain`, `inverse_gain`, `block_scale`. */
  vectors(qualityCode) {
    const between = (name) => {
      const { data, shape } = this.arrays[name];
      const [anchors, channels] = shape;
      const position = (qualityCode / QUALITY_CODE_MAX) * (anchors - 1);
      const low = Math.min(Math.floor(position), anchors - 2);
      return Float32Array.from({ length: channels }, (_, i) => {
        const [one, other] = [data[low * channels + i], data[(low + 1) * channels + i]];
        return one + (other - one) * (position - low);
      });
    };
    return {
      gain: between("log_gain").map(Math.exp),
      inverse_gain: between("log_inverse_gain").map(Math.exp),
      block_scale: between("block_scale"),
    };
  }
}

/** floor(code / QUALITY_CODE_MAX * maximum + 1/2) in integers. */
function nearestFraction(code, maximum) {
  const whole = 2 * code * maximum + QUALITY_CODE_MAX;
  return Math.floor(whole / (2 * QUALITY_CODE_MAX));
}

/** Arrays by name, { data, shape }, of an .npz file: a zip archive of .npy files with
 * int32 or float32. */
async function arraysOf(bytes) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = bytes.length - 22; // it has no comment
  const found = {};
  let entry = data.getUint32(end + 16, true);
  for (let left = data.getUint16(end + 10, true); left > 0; left--) {
    const deflated = data.getUint16(entry + 10, true) === 8;
    const size = data.getUint32(entry + 20, true);
    const [name, extra, comment] = [28, 30, 32].map((at) =>
      data.getUint16(entry + at, true),
    );
    const local = data.getUint32(entry + 42, true);
    const text = new TextDecoder().decode(
      bytes.subarray(entry + 46, entry + 46 + name),
    );
    const skipped = data.getUint16(local + 26, true) + data.getUint16(local + 28, true);
    const start = local + 30 + skipped;
    const packed = new Blob([bytes.subarray(start, start + size)]);
    const stream = deflated
      ? packed.stream().pipeThrough(new DecompressionStream("deflate-raw"))
      : packed.stream();
    found[text.replace(".npy", "")] = array(await new Response(stream).arrayBuffer());
    entry += 46 + name + extra + comment;
  }
  return found;
}

function array(buffer) {
  const length = new DataView(buffer).getUint16(8, true);
  const head = new TextDecoder().decode(new Uint8Array(buffer, 10, length));
  const kind = head.includes("<i4") ? Int32Array : Float32Array;
  const shape = head
    .match(/\(([\d, ]*)\)/)[1]
    .match(/\d+/g)
    .map(Number);
  return { data: new kind(buffer.slice(10 + length)), shape };
}
