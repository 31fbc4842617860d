"""What pages in a browser run, to compare the decoder there with that in Python."""

import base64
import json
from collections.abc import Iterable

import numpy as np
from PIL import Image

from codec.limits import MAX_PIXELS

LEVELS = 1  # that pixels may differ by
# Pictures and facts of the files NAMES.
DECODE_ALL = """
import { decode } from "./aec.js";
const found = {};
for (const name of NAMES)
  try {
    const { info, image } = await decode(name, { maxPixels: MAX_PIXELS });
    let text = "";
    for (const value of image.data) text += String.fromCharCode(value);
    found[name] = { info, space: image.colorSpace, pixels: btoa(text) };
  } catch (error) {
    found[name] = { name: error.name, error: error.message };
  }
told(found);
"""
# SHA-256 of the symbols of the files NAMES.
SYMBOLS = """
import { hex, unpack } from "./container.js";
import { Kernels, compileKernels } from "./kernels.js";
import { SymbolModel, modelOf } from "./models.js";
import { decodeTile } from "./symbols.js";
import { paste } from "./windows.js";

const kernels = new Kernels(await compileKernels());
const models = {};
const found = {};
for (const name of NAMES) {
  const bytes = new Uint8Array(await (await fetch(name)).arrayBuffer());
  const container = unpack(bytes, MAX_PIXELS);
  const { header } = container;
  const released = await modelOf(header);
  const model = (models[released.name] ??= await SymbolModel.load(kernels, released));
  const { hyper_channels, latent_channels } = model.config;
  const cells = (side) => Math.ceil(side / 64);
  const grid = [cells(header.height), cells(header.width)];
  const zeros = (unit, channels) => {
    const shape = [grid[0] * unit, grid[1] * unit, channels];
    return { data: new Int32Array(shape[0] * shape[1] * channels), shape };
  };
  const hyper = zeros(1, hyper_channels);
  const residuals = zeros(4, latent_channels);
  for (let number = 0; number < container.tileCount; number++) {
    const { networks } = container.tile(number);
    if (!networks) continue;
    const { tilePx, tileColumns } = header;
    const [x, y] = [number % tileColumns, Math.floor(number / tileColumns)];
    const rows = cells(Math.min(tilePx, header.height - y * tilePx));
    const columns = cells(Math.min(tilePx, header.width - x * tilePx));
    const tile = decodeTile(model, header.qualityCode, networks, rows, columns);
    const [top, left] = [cells(y * tilePx), cells(x * tilePx)];
    const shape = [rows, columns, hyper_channels];
    paste(hyper, { data: tile.hyper, shape }, top, left);
    const larger = [4 * rows, 4 * columns, latent_channels];
    paste(residuals, { data: tile.residuals, shape: larger }, 4 * top, 4 * left);
  }
  const all = new Blob([hyper.data, residuals.data]);
  const digest = await crypto.subtle.digest("SHA-256", await all.arrayBuffer());
  found[name] = hex(new Uint8Array(digest));
}
told(found);
"""


def script(text: str, names: Iterable[str]) -> str:
    text = text.replace("NAMES", json.dumps(sorted(names)))
    return text.replace("MAX_PIXELS", str(MAX_PIXELS))


def difference(found: dict, image: Image.Image) -> np.ndarray:
    """What `DECODE_ALL` found of a file minus a picture, int [height, width, RGBA]."""
    assert (found["info"]["width"], found["info"]["height"]) == image.size
    pixels = np.frombuffer(base64.b64decode(found["pixels"]), np.uint8)
    pixels = pixels.reshape(image.height, image.width, 4).astype(int)
    return pixels - np.asarray(image.convert("RGBA"), int)
