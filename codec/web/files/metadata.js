// What metadata mean for how a picture is shown.

const ORIENTATION_TAG = 0x0112;
const SHORT = 3;
// Red, green and blue of Display P3 as in its ICC profiles, for white D50.
const DISPLAY_P3 = [
  [0.5151, 0.2412, -0.0011],
  [0.292, 0.6922, 0.0419],
  [0.1571, 0.0666, 0.7841],
];
const TOLERANCE = 0.003;

/** Orientation, 1 to 8, of EXIF data; 1 if they say none. */
export function orientationOf(exif) {
  try {
    const data = new DataView(exif.buffer, exif.byteOffset, exif.byteLength);
    const little = data.getUint16(0) === 0x4949;
    if (!little && data.getUint16(0) !== 0x4d4d) return 1;
    const start = data.getUint32(4, little);
    for (let i = 0; i < data.getUint16(start, little); i++) {
      const entry = start + 2 + 12 * i;
      const isOne =
        data.getUint16(entry, little) === ORIENTATION_TAG &&
        data.getUint16(entry + 2, little) === SHORT &&
        data.getUint32(entry + 4, little) === 1;
      const value = data.getUint16(entry + 8, little);
      if (isOne && value >= 1 && value <= 8) return value;
    }
  } catch {} // cut off
  return 1;
}

/** The color space that a canvas has for an ICC profile. */
export function colorSpaceOf(icc) {
  try {
    const data = new DataView(icc.buffer, icc.byteOffset, icc.byteLength);
    const colors = ["rXYZ", "gXYZ", "bXYZ"].map((name) => xyzIn(data, name));
    const near = colors.every((color, i) =>
      color.every((value, k) => Math.abs(value - DISPLAY_P3[i][k]) < TOLERANCE),
    );
    if (near) return "display-p3";
  } catch {} // cut off, or no such colors
  return "srgb";
}

function xyzIn(data, name) {
  for (let i = 0; i < data.getUint32(128); i++) {
    const entry = 132 + 12 * i;
    const found = [0, 1, 2, 3].map((k) => data.getUint8(entry + k));
    if (String.fromCharCode(...found) !== name) continue;
    const at = data.getUint32(entry + 4) + 8;
    return [0, 4, 8].map((k) => data.getInt32(at + k) / 65536);
  }
  throw new RangeError(name);
}

/** Size and place upright of a rectangle in a picture of [width, height] as stored. */
export function uprightPlace({ x, y, width, height }, [w, h], orientation) {
  const right = w - x - width;
  const below = h - y - height;
  const left = [x, right, right, x, y, below, below, y][orientation - 1];
  const top = [y, y, below, below, x, x, right, right][orientation - 1];
  return orientation > 4
    ? { x: left, y: top, width: height, height: width }
    : { x: left, y: top, width, height };
}

/** RGBA samples turned upright. */
export function upright(pixels, width, height, orientation) {
  if (orientation === 1) return pixels;
  const from = new Uint32Array(pixels.buffer);
  const out = new Uint32Array(from.length);
  const flipX = [2, 3, 6, 7].includes(orientation); // after sides were exchanged
  const flipY = [3, 4, 7, 8].includes(orientation);
  const turned = orientation > 4;
  const [columns, rows] = turned ? [height, width] : [width, height];
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const fromX = flipX ? columns - 1 - x : x;
      const fromY = flipY ? rows - 1 - y : y;
      out[y * columns + x] = turned
        ? from[fromX * width + fromY]
        : from[fromY * width + fromX];
    }
  return new Uint8ClampedArray(out.buffer);
}
