// What the browser itself decodes: lossless WebP without its container, AVIF, and PNG.

import { AecError } from "./errors.js";
import { FLAT, LOSSY } from "./container.js";

const VP8L_START = 0x2f;
const VP8L_SIDE_BITS = 14;
const PNG_START = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13];
const AVIF = "image/avif";
const AVIF_PIXEL =
  "AAAAHGZ0eXBhdmlmAAAAAGF2aWZtaWYxbWlhZgAAAOltZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0" +
  "AAAAAAAAAAAAAAAAAAAAAA5waXRtAAAAAAABAAAAHmlsb2MAAAAARAAAAQABAAAAAQAAAQ0AAAAbAAAA" +
  "KGlpbmYAAAAAAAEAAAAaaW5mZQIAAAAAAQAAYXYwMUNvbG9yAAAAAGhpcHJwAAAASWlwY28AAAAUaXNw" +
  "ZQAAAAAAAAABAAAAAQAAAA5waXhpAAAAAAEIAAAADGF2MUOBABwAAAAAE2NvbHJuY2x4AAEADQAGgAAA" +
  "ABdpcG1hAAAAAAAAAAEAAQQBAoMEAAAAI21kYXQSAAoHGAAG2AhoNTIOH/UVwAAsAICQNaKKXrg=";
const GRAY_8_BITS = [8, 0]; // of a PNG header, after the size

/** RGBA samples [height, width, 4] of a tile's layer; alpha is 0 or 255. */
export async function layerPixels({ layer, networks }, width, height) {
  const pixels = await colorsOf(layer, width, height);
  let covered = 0;
  for (let i = 3; i < pixels.length; i += 4) {
    if (pixels[i] !== 0 && pixels[i] !== 255)
      throw new AecError("a layer is half transparent");
    covered += pixels[i] === 255;
  }
  if ((covered === width * height) !== (networks === null))
    throw new AecError("a layer does not cover what it should");
  return pixels;
}

async function colorsOf({ kind, colors, mask }, width, height) {
  if (kind === FLAT) {
    const pixels = new Uint8ClampedArray(4 * width * height);
    new Uint32Array(pixels.buffer).fill(
      new Uint32Array(Uint8Array.of(...colors, 255).buffer)[0],
    );
    return pixels;
  }
  if (kind !== LOSSY) return losslessPixels(colors, width, height);
  if (!avifIsOf(colors, width, height))
    throw new AecError("picture is of another size than it should");
  const pixels = await decoded(
    new Blob([colors], { type: AVIF }),
    width,
    height,
  );
  if (mask.length) {
    const alpha = await losslessPixels(mask, width, height);
    for (let i = 3; i < pixels.length; i += 4) pixels[i] = alpha[i];
  }
  return pixels;
}

/** Alpha [height, width] of an alpha chunk. */
export async function alphaPlane(data, width, height) {
  try {
    if (data[0] === VP8L_START)
      return channel(await losslessPixels(data, width, height), 1);
    const header = new DataView(new ArrayBuffer(8));
    header.setUint32(0, width);
    header.setUint32(4, height);
    const type = [0x49, 0x48, 0x44, 0x52]; // IHDR
    const size = new Uint8Array(header.buffer);
    const expected = [...PNG_START, ...type, ...size, ...GRAY_8_BITS];
    if (expected.some((byte, i) => data[i] !== byte))
      throw new AecError(`no gray PNG file of ${width} x ${height} pixels`);
    return channel(
      await decoded(new Blob([data], { type: "image/png" }), width, height),
      0,
    );
  } catch (error) {
    throw error instanceof AecError ? new AecError(`alpha: ${error.message}`) : error;
  }
}

function channel(pixels, number) {
  return Uint8Array.from(
    { length: pixels.length / 4 },
    (_, i) => pixels[4 * i + number],
  );
}

async function losslessPixels(data, width, height) {
  let sides = 0;
  for (let i = 4; i > 0; i--) sides = sides * 256 + (data[i] ?? 0);
  const side = 2 ** VP8L_SIDE_BITS;
  const found = [(sides % side) + 1, (Math.floor(sides / side) % side) + 1];
  if (data[0] !== VP8L_START || found[0] !== width || found[1] !== height)
    throw new AecError(`no lossless picture of ${width} x ${height} pixels`);
  const padding = data.length % 2;
  const head = new DataView(new ArrayBuffer(20));
  [0x52494646, 0, 0x57454250, 0x5650384c].forEach((word, i) =>
    head.setUint32(4 * i, word),
  );
  head.setUint32(4, 12 + data.length + padding, true);
  head.setUint32(16, data.length, true);
  const parts = [head, data, new Uint8Array(padding)];
  return decoded(new Blob(parts, { type: "image/webp" }), width, height);
}

/** Whether an AVIF file says that it is of a size. Boxes are looked for in meta, iprp
 * and ipco. */
function avifIsOf(bytes, width, height) {
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const sizes = [];
  const look = (start, end) => {
    for (let at = start; at + 8 <= end;) {
      const size = data.getUint32(at);
      if (size < 8 || at + size > end) return;
      const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
      if (name === "meta") look(at + 12, at + size);
      if (name === "iprp" || name === "ipco") look(at + 8, at + size);
      if (name === "ispe" && size >= 20)
        sizes.push([data.getUint32(at + 12), data.getUint32(at + 16)]);
      at += size;
    }
  };
  look(0, bytes.length);
  return sizes.length > 0 && sizes.every(([w, h]) => w === width && h === height);
}

/** Whether a picture of one pixel can be decoded. */
async function hasAvif() {
  const pixel = Uint8Array.from(atob(AVIF_PIXEL), (byte) => byte.charCodeAt(0));
  return createImageBitmap(new Blob([pixel], { type: AVIF })).then(
    () => true,
    () => false,
  );
}

/** RGBA samples as the file has them, whatever its color space. */
async function decoded(blob, width, height) {
  const options = { premultiplyAlpha: "none", colorSpaceConversion: "none" };
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, options);
  } catch {
    if (blob.type === AVIF && !(await hasAvif()))
      throw new Error("parts of the picture are AVIF, which this browser cannot read");
    throw new AecError("picture cannot be decoded");
  }
  if (bitmap.width !== width || bitmap.height !== height)
    throw new AecError("picture is of another size than it should");
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height).data;
}
