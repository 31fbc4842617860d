// A file's bytes -> its header and payloads; see FORMAT.md. Nothing is known of pictures.

import { AecError } from "./errors.js";

const MAGIC = [0x89, 0x41, 0x45, 0x43];
const FORMAT_VERSION = 2;
const SIDE_MAX_PX = 2 ** 24 - 1;
const EXTENSION_PX = 64; // pictures are extended to multiples of this
const METADATA_MAX_BYTES = 2 ** 24;
const TEXTS_MAX = 4096;
const EXTRA_CHUNKS_MAX = 16;
const FIRST_ANCILLARY_CHUNK = 0x80;
const CRC_BYTES = 4;
export const QUALITY_CODE_MAX = 65535;
const TILE_CHUNK = 1;
const LAYERED_CHUNK = 2;
export const GRAY_CHUNK = 0x80;
export const ALPHA_CHUNK = 0x81;
export const NEUTRAL_CHUNK = 0x88;
export const METADATA_CHUNKS = {
  0x82: "icc",
  0x83: "exif",
  0x84: "xmp",
  0x85: "dpi",
  0x86: "text",
  0x87: "iptc",
};
export const FLAT = 0;
export const LOSSY = 2;
const FLAT_BYTES = 3;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

export function crc(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CRC_TABLE[(sum ^ byte) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

/** Bytes with a position. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.position = 0;
  }

  take(count, what) {
    const missing = this.position + count - this.bytes.length;
    if (missing > 0)
      throw new AecError(
        `file is cut off: not enough bytes for ${what} (${missing} missing)`,
      );
    this.position += count;
    return this.bytes.subarray(this.position - count, this.position);
  }

  integer(count, what) {
    return this.take(count, what).reduceRight((sum, byte) => sum * 256 + byte, 0);
  }

  /** LEB128 of at most 5 bytes, in its shortest form. */
  varint(what) {
    let value = 0;
    for (let i = 0; i < 5; i++) {
      const [byte] = this.take(1, what);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        if (byte === 0 && i)
          throw new AecError(`${what} is not written in its shortest form`);
        return value;
      }
    }
    throw new AecError(`${what} is longer than 5 bytes`);
  }
}

function checked(name, value, low, high) {
  if (value < low || value > high)
    throw new AecError(`${name} is ${value}; expected ${low} to ${high}`);
  return value;
}

/** Parse and check everything before the payloads; takes no memory for pixels. */
export function unpack(bytes, maxPixels) {
  const reader = new Reader(bytes);
  const header = readHeader(reader);
  const { width, height } = header;
  const cells = [width, height].map((side) => Math.ceil(side / EXTENSION_PX));
  if (cells[0] * cells[1] * EXTENSION_PX ** 2 > maxPixels)
    throw new AecError(
      `image of ${width} x ${height} pixels is over the limit of ${maxPixels} ` +
        `(sides count in steps of ${EXTENSION_PX})`,
    );
  const tileCount = header.tileRows * header.tileColumns;
  const table = readTable(reader, tileCount);
  const expected = crc(bytes.subarray(0, reader.position));
  if (reader.integer(CRC_BYTES, "the header") !== expected)
    throw new AecError("header is damaged (checksum differs)");
  let offset = reader.position;
  const spans = table.map(([id, length]) => {
    const span = { id, offset, length };
    offset += length + CRC_BYTES;
    return span;
  });
  if (bytes.length > offset)
    throw new AecError(`${bytes.length - offset} bytes after the end of the file`);
  return new Container(header, bytes, spans, tileCount);
}

function readHeader(reader) {
  const what = "the header";
  const start = reader.bytes.subarray(0, MAGIC.length);
  if (start.some((byte, i) => byte !== MAGIC[i]))
    throw new AecError("not an .aec file");
  reader.take(MAGIC.length, what);
  const version = reader.integer(1, what);
  if (version !== FORMAT_VERSION)
    throw new AecError(
      `format version ${version} is not supported; ` +
        `this program reads version ${FORMAT_VERSION}`,
    );
  const modelId = reader.integer(1, what);
  const digest = hex(reader.take(4, what));
  const qualityCode = reader.integer(2, what);
  const tilePx = 2 ** checked("tile_log2", reader.integer(1, what), 9, 10);
  const width = checked("width", reader.varint("width"), 1, SIDE_MAX_PX);
  const height = checked("height", reader.varint("height"), 1, SIDE_MAX_PX);
  const tileRows = Math.ceil(height / tilePx);
  const tileColumns = Math.ceil(width / tilePx);
  const sizes = { tilePx, width, height, tileRows, tileColumns };
  return { modelId, digest, qualityCode, ...sizes };
}

/** [chunk id, length] of every chunk: all tiles first, then the others. */
function readTable(reader, tileCount) {
  const count = reader.varint("the number of chunks");
  checked("number of chunks", count, tileCount, tileCount + EXTRA_CHUNKS_MAX);
  if (2 * count > reader.bytes.length)
    throw new AecError("file is cut off: not enough bytes for the chunk table");
  const found = new Set();
  return Array.from({ length: count }, (_, number) => {
    const id = reader.integer(1, "the chunk table");
    const isTile = id === TILE_CHUNK || id === LAYERED_CHUNK;
    const name = `0x${id.toString(16).padStart(2, "0")}`;
    if (isTile !== number < tileCount)
      throw new AecError(
        `chunk ${number + 1} has id ${name}; expected ` +
          `${tileCount} tiles first and no others`,
      );
    if (!isTile && id < FIRST_ANCILLARY_CHUNK)
      throw new AecError(`chunk id ${name} is not supported by this program`);
    const known = id in METADATA_CHUNKS || isExtra(id);
    if (known && found.has(id)) throw new AecError(`chunk id ${name} occurs twice`);
    found.add(id);
    return [id, reader.varint("the chunk table")];
  });
}

function isExtra(id) {
  return id === GRAY_CHUNK || id === ALPHA_CHUNK || id === NEUTRAL_CHUNK;
}

/** A parsed file; payloads are checked when they are taken. */
class Container {
  constructor(header, bytes, spans, tileCount) {
    Object.assign(this, { header, bytes, spans, tileCount });
  }

  has(id) {
    return this.spans.some((span) => span.id === id);
  }

  get layered() {
    return this.has(LAYERED_CHUNK);
  }

  /** A payload by its number in the file, its checksum tested. */
  payload(number) {
    const { id, offset, length } = this.spans[number];
    const isTile = number < this.tileCount;
    const title = id === ALPHA_CHUNK ? "transparency" : METADATA_CHUNKS[id];
    const name = `chunk 0x${id.toString(16).padStart(2, "0")}${title ? ` (${title})` : ""}`;
    const what = isTile ? `tile ${number + 1} of ${this.tileCount}` : name;
    const end = offset + length;
    if (this.bytes.length < end + CRC_BYTES)
      throw new AecError(`file is cut off: not enough bytes for ${what}`);
    const payload = this.bytes.subarray(offset, end);
    const sum = new DataView(this.bytes.buffer, this.bytes.byteOffset + end, CRC_BYTES);
    if (crc(payload) !== sum.getUint32(0, true))
      throw new AecError(`${what} is damaged (checksum differs)`);
    return payload;
  }

  /** A tile: its `networks` payload, null if the layer covers it, and its layer. */
  tile(number) {
    const payload = this.payload(number);
    if (this.spans[number].id === TILE_CHUNK) return { networks: payload, layer: null };
    return this.about(number, () => unpackLayer(payload));
  }

  /** What a function returns; its error says that a tile is damaged. */
  about(number, work) {
    try {
      return work();
    } catch (error) {
      throw this.damaged(number, error);
    }
  }

  damaged(number, error) {
    if (!(error instanceof AecError)) return error;
    const what = `tile ${number + 1} of ${this.tileCount} is damaged`;
    return new AecError(`${what}: ${error.message}`);
  }

  /** The payload of the chunk with this id; null if there is none. */
  extra(id) {
    const number = this.spans.findIndex((span) => span.id === id);
    return number < 0 ? null : this.payload(number);
  }

  /** Metadata that are there, by name, decompressed. */
  async metadata() {
    const found = {};
    let room = METADATA_MAX_BYTES;
    for (const [id, name] of Object.entries(METADATA_CHUNKS)) {
      const packed = this.extra(Number(id));
      if (packed === null) continue;
      found[name] = await inflate(packed, name, room);
      room -= found[name].length;
      checkMetadata(name, found[name]);
    }
    return found;
  }

  /** Test the checksums of all that is no tile, known here or not. */
  checkExtras() {
    for (let number = this.tileCount; number < this.spans.length; number++) {
      const payload = this.payload(number);
      const { id } = this.spans[number];
      if ((id === GRAY_CHUNK || id === NEUTRAL_CHUNK) && payload.length)
        throw new AecError("chunk of a gray picture is not empty");
    }
  }
}

/** An error for what FORMAT.md does not allow, of a size that is known. */
function checkMetadata(name, data) {
  if (name === "dpi" && (data.length !== 8 || [0, 4].some((at) => isZero(data, at))))
    throw new AecError("dpi data are not two positive numbers");
  if (name !== "text") return;
  const zeros = data.reduce((count, byte) => count + !byte, 0);
  if (zeros > 2 * TEXTS_MAX) throw new AecError(`more than ${TEXTS_MAX} texts`);
  if (zeros % 2 || (data.length && data.at(-1)))
    throw new AecError("text data are not whole pairs of keyword and text");
}

function isZero(data, at) {
  return !data.subarray(at, at + 4).some((byte) => byte);
}

function unpackLayer(payload) {
  const reader = new Reader(payload);
  const what = "the layer";
  const kind = reader.integer(1, what);
  const lengths = [reader.varint(what), reader.varint(what)];
  const [colors, mask] = lengths.map((length) => reader.take(length, what));
  const rest = payload.subarray(reader.position);
  if (kind > LOSSY)
    throw new AecError(`kind ${kind} of a layer is not supported by this program`);
  if (mask.length && (kind !== LOSSY || !rest.length))
    throw new AecError("a layer has a mask that it may not have");
  if (kind === FLAT && (colors.length !== FLAT_BYTES || rest.length))
    throw new AecError("a flat layer is no single color of a whole tile");
  return { networks: rest.length ? rest : null, layer: { kind, colors, mask } };
}

/** What a zlib stream holds, at most `room` bytes. */
async function inflate(packed, name, room) {
  const parts = [];
  let size = 0;
  try {
    const stream = new Blob([packed]).stream();
    const reader = stream.pipeThrough(new DecompressionStream("deflate")).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > room) {
        await reader.cancel();
        break;
      }
      parts.push(value);
    }
  } catch {
    throw new AecError(`${name} data is damaged, or not one whole stream`);
  }
  if (size > room) throw new AecError(`${name} data is too large`);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
