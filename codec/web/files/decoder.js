// The worker that decodes files, one after the other:
//
// file -> payloads -> symbols, here; symbols -> latents -> pixels, in the workers of the
// pool, by windows; the layer, gray, alpha and orientation, here again.

import { alphaPlane, layerPixels } from "./classic.js";
import {
  ALPHA_CHUNK,
  GRAY_CHUNK,
  NEUTRAL_CHUNK,
  QUALITY_CODE_MAX,
  unpack,
} from "./container.js";
import { AecError } from "./errors.js";
import { Kernels } from "./kernels.js";
import { colorSpaceOf, orientationOf, upright, uprightPlace } from "./metadata.js";
import { SymbolModel, modelFile, modelName, modelOf } from "./models.js";
import { Pool } from "./pool.js";
import { decodeTile } from "./symbols.js";
import { coresOf, cut, paste, relative, widened } from "./windows.js";

const CELL_PX = 64;
const NETWORKS = ["mean_context", "preview", "synthesis"];
// Of larger pictures, latents are not kept until all of them are there.
const PREVIEW_MAX_PX = 2 ** 24;

let pool;
const jobs = new Map(); // by id
const loaded = new Map(); // model name -> promise of { symbols, graphs, name }
let last = Promise.resolve();

self.onmessage = ({ data }) => {
  if (data.work === "cancel") {
    const job = jobs.get(data.id);
    if (job) job.cancelled = true;
    return;
  }
  const job = { ...data, cancelled: false };
  jobs.set(job.id, job);
  const turn = last;
  const told = tellInfo(job); // whatever else is under way
  const work =
    job.work === "info" ? told : told.then((known) => turn.then(() => run(job, known)));
  if (job.work !== "info") last = Promise.allSettled([turn, work]).then(() => {});
  work
    .then(
      () => self.postMessage({ id: job.id, kind: "done" }),
      (error) => {
        const { message, name } = error;
        const kind = "error";
        job.cancelled = true; // what waits for the pool
        self.postMessage({ id: job.id, kind, message, ofFile: name === "AecError" });
      },
    )
    .finally(() => jobs.delete(job.id));
};

/** Post what is known of a file before anything is decoded. */
async function tellInfo(job) {
  const container = unpack(job.bytes, job.maxPixels);
  const info = await infoOf(container);
  self.postMessage({ id: job.id, kind: "header", info });
  return { container, info };
}

async function infoOf(container) {
  const { header, bytes } = container;
  container.checkExtras();
  const metadata = await container.metadata();
  const orientation = metadata.exif ? orientationOf(metadata.exif) : 1;
  const { width, height } = uprightPlace(
    { x: 0, y: 0, width: header.width, height: header.height },
    [header.width, header.height],
    orientation,
  );
  return {
    width,
    height,
    bytes: bytes.length,
    bitsPerPixel: (8 * bytes.length) / (width * height),
    quality: 1 + (99 * header.qualityCode) / QUALITY_CODE_MAX,
    model: await modelName(header.modelId),
    tiles: container.tileCount,
    orientation,
    gray: container.has(GRAY_CHUNK) || container.has(NEUTRAL_CHUNK),
    alpha: container.has(ALPHA_CHUNK),
    layered: container.layered,
    colorSpace: metadata.icc ? colorSpaceOf(metadata.icc) : "srgb",
    metadata: Object.keys(metadata),
  };
}

async function run(job, { container, info }) {
  stopIfCancelled(job);
  const { header } = container;
  const known = await modelOf(header);
  const tiles = Array.from({ length: container.tileCount }, (_, number) => ({
    ...container.tile(number),
    ...placeOf(header, number),
  }));
  const picture = new Picture(job, header, info, container);
  await picture.decodeLayer(tiles);
  const alpha = container.extra(ALPHA_CHUNK);
  if (alpha) picture.alpha = await alphaPlane(alpha, header.width, header.height);
  if (tiles.every(({ networks }) => networks === null))
    for (const { place } of tiles) {
      stopIfCancelled(job);
      picture.show(place, new Uint8Array(3 * place.width * place.height));
    }
  else await decodeNetworks(job, container, tiles, await load(known), picture);
}

function placeOf(header, number) {
  const { tilePx, tileColumns } = header;
  const [x, y] = [number % tileColumns, Math.floor(number / tileColumns)].map(
    (n) => n * tilePx,
  );
  const width = Math.min(tilePx, header.width - x);
  const height = Math.min(tilePx, header.height - y);
  return { number, place: { x, y, width, height } };
}

function stopIfCancelled(job) {
  if (job.cancelled) throw new Error("cancelled");
}

/** A model, its networks as bytes for the pool. */
function load(model) {
  if (!loaded.has(model.name)) {
    const promise = loadFiles(model);
    loaded.set(model.name, promise);
    promise.catch(() => loaded.delete(model.name));
  }
  return loaded.get(model.name);
}

async function loadFiles(model) {
  const files = NETWORKS.map((name) => modelFile(model, `${name}.tflite`));
  pool ??= new Pool();
  await pool.start();
  const symbols = await SymbolModel.load(new Kernels(pool.module), model);
  const bytes = await Promise.all(files);
  const graphs = Object.fromEntries(NETWORKS.map((name, i) => [name, bytes[i]]));
  return { name: model.name, symbols, graphs };
}

/** Decode symbols tile by tile, and give windows to the pool as soon as they are there. */
async function decodeNetworks(job, container, tiles, model, picture) {
  const { header } = container;
  const { config } = model.symbols;
  const unit = config.stride_px / config.latent_px;
  const grid = [header.height, header.width].map((side) => Math.ceil(side / CELL_PX));
  const symbols = {
    hyper: zeros(Int16Array, grid, 1, config.hyper_channels),
    residuals: zeros(Int16Array, grid, unit, config.latent_channels),
  };
  const shared = { model, symbols, grid, unit, config };
  shared.vectors = model.symbols.vectors(header.qualityCode);
  shared.twice = header.width * header.height <= PREVIEW_MAX_PX; // preview, then all
  const halo = config.halos.mean + config.halos.synthesis;
  const windows = coresOf(grid, pool.size).map((core) => ({
    core,
    near: widened(core, grid, config.halos.synthesis),
    whole: widened(core, grid, halo),
  }));
  const first = [];
  const remaining = [...windows];
  const ready = new Set(); // tiles by number
  for (const { number, networks, place } of tiles) {
    stopIfCancelled(job);
    const cells = [place.height, place.width].map((side) => Math.ceil(side / CELL_PX));
    if (networks) {
      const code = header.qualityCode;
      const found = container.about(number, () =>
        decodeTile(model.symbols, code, networks, ...cells),
      );
      const [top, left] = [place.y / CELL_PX, place.x / CELL_PX];
      const channels = [config.hyper_channels, config.latent_channels];
      const hyper = { data: found.hyper, shape: [...cells, channels[0]] };
      const size = cells.map((n) => n * unit);
      const residuals = { data: found.residuals, shape: [...size, channels[1]] };
      paste(symbols.hyper, hyper, top, left);
      paste(symbols.residuals, residuals, top * unit, left * unit);
    }
    ready.add(number);
    while (
      remaining.length &&
      tilesOf(remaining[0], header).every((n) => ready.has(n))
    ) {
      const window = decodeWindow(job, shared, picture, remaining.shift());
      window.catch(() => {}); // heard of below, unless a tile is damaged first
      first.push(window);
    }
    await new Promise((resume) => setTimeout(resume)); // hear of what was cancelled
  }
  const second = await all(first);
  await all(second.map((begin) => begin()));
}

/** Numbers of the tiles that a window sees. */
function tilesOf({ whole }, { tilePx, tileColumns }) {
  const side = tilePx / CELL_PX;
  const numbers = [];
  const [[top, bottom], [left, right]] = [whole.rows, whole.columns];
  for (let y = Math.floor(top / side); y * side < bottom; y++)
    for (let x = Math.floor(left / side); x * side < right; x++)
      numbers.push(y * tileColumns + x);
  return numbers;
}

/** All results; if one fails, the first error after all have ended. */
async function all(promises) {
  const results = await Promise.allSettled(promises);
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
  return results.map(({ value }) => value);
}

/** Show the preview of a window; a function that shows its pixels. */
async function decodeWindow(job, shared, picture, { core, near, whole }) {
  const { model, symbols, config, unit, vectors, twice } = shared;
  const part = {
    hyper: cut(symbols.hyper, whole, 1),
    residuals: cut(symbols.residuals, whole, unit),
  };
  const previewPx = twice ? config.stride_px / config.preview_factor : 0;
  const inner = relative(core, near);
  const found = await pool.run(
    job,
    model,
    {
      work: "latents",
      symbols: part,
      vectors,
      near: relative(near, whole),
      core: inner,
      unit,
      previewPx,
    },
    Object.values(part).map(({ data }) => data.buffer),
  );
  const place = { x: core.columns[0] * CELL_PX, y: core.rows[0] * CELL_PX };
  if (found.preview) picture.preview(place, found.preview, config.preview_factor);
  const { latents } = found;
  const pixels = async () => {
    const task = {
      work: "pixels",
      latents,
      vectors,
      core: inner,
      cellPx: config.stride_px,
    };
    const { pixels } = await pool.run(job, model, task, [latents.data.buffer]);
    picture.showWindow(place, pixels);
  };
  if (twice) return pixels;
  await pixels();
  return async () => {};
}

function zeros(kind, [rows, columns], unit, channels) {
  const shape = [rows * unit, columns * unit, channels];
  return { data: new kind(shape[0] * shape[1] * channels), shape };
}

/** What becomes of colors before they are posted, part by part. */
class Picture {
  constructor(job, header, info, container) {
    this.job = job;
    this.size = [header.width, header.height];
    this.orientation = info.orientation;
    this.gray = info.gray;
    this.alpha = null;
    this.layers = []; // { place, pixels }
    this.container = container;
  }

  async decodeLayer(tiles) {
    for (const { number, place, layer, networks } of tiles) {
      stopIfCancelled(this.job);
      if (!layer) continue;
      const { width, height } = place;
      const pixels = await layerPixels({ layer, networks }, width, height).catch(
        (error) => {
          throw this.container.damaged(number, error);
        },
      );
      this.layers.push({ place, pixels });
    }
  }

  /** Post a window of the networks, colors { data, shape }, without what is beyond the
   * picture. */
  showWindow({ x, y }, { data, shape }) {
    const [rows, columns] = shape;
    const width = Math.min(columns, this.size[0] - x);
    const height = Math.min(rows, this.size[1] - y);
    this.show({ x, y, width, height }, data, columns);
  }

  /** Post colors [height, stride, 3] at a place. */
  show(place, colors, stride = place.width) {
    this.post("part", place, this.finished(place, colors, stride, 1), place);
  }

  /** Post a window of the preview, which is `factor` times smaller. */
  preview({ x, y }, { data, shape }, factor) {
    const width = Math.min(shape[1] * factor, this.size[0] - x);
    const height = Math.min(shape[0] * factor, this.size[1] - y);
    const small = {
      width: Math.ceil(width / factor),
      height: Math.ceil(height / factor),
    };
    const place = { x, y, ...small };
    const pixels = this.finished(place, data, shape[1], factor);
    this.post("preview", { x, y, width, height }, pixels, small);
  }

  post(kind, place, pixels, { width, height }) {
    const { id } = this.job;
    const turned = upright(pixels, width, height, this.orientation);
    const size =
      this.orientation > 4 ? { width: height, height: width } : { width, height };
    const at = uprightPlace(place, this.size, this.orientation);
    self.postMessage({ id, kind, place: at, pixels: turned, size }, [turned.buffer]);
  }

  /** RGBA samples of colors with the layer over them, gray and alpha applied. Pixels of
   * the picture are `factor` apart. */
  finished({ x, y, width, height }, colors, stride, factor) {
    const pixels = new Uint8ClampedArray(4 * width * height);
    for (let row = 0, to = 0; row < height; row++)
      for (let column = 0, from = 3 * row * stride; column < width; column++, to += 4) {
        pixels[to] = colors[from++];
        pixels[to + 1] = colors[from++];
        pixels[to + 2] = colors[from++];
        pixels[to + 3] = 255;
      }
    const each = (area, work) => {
      const clip = (start, end, first, length) => [
        Math.max(0, Math.ceil((start - first) / factor)),
        Math.min(length, Math.ceil((end - first) / factor)),
      ];
      const [top, bottom] = clip(area.y, area.y + area.height, y, height);
      const [left, right] = clip(area.x, area.x + area.width, x, width);
      for (let row = top; row < bottom; row++)
        for (let column = left; column < right; column++) {
          const [px, py] = [x + column * factor - area.x, y + row * factor - area.y];
          work(4 * (row * width + column), py * area.width + px);
        }
    };
    for (const layer of this.layers)
      each(layer.place, (to, from) => {
        if (layer.pixels[4 * from + 3])
          for (let i = 0; i < 3; i++) pixels[to + i] = layer.pixels[4 * from + i];
      });
    if (this.gray)
      for (let i = 0; i < pixels.length; i += 4)
        pixels[i] =
          pixels[i + 1] =
          pixels[i + 2] =
            luma(pixels[i], pixels[i + 1], pixels[i + 2]);
    const all = { x: 0, y: 0, width: this.size[0], height: this.size[1] };
    if (this.alpha) each(all, (to, from) => (pixels[to + 3] = this.alpha[from]));
    return pixels;
  }
}

/** BT.601, as Pillow rounds it. */
function luma(red, green, blue) {
  return (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
}
