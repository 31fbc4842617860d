// A worker that runs the float networks on windows, one message after the other.

import { Graph } from "./graphs.js";
import { Kernels } from "./kernels.js";
import { cut } from "./windows.js";

let kernels;
const models = new Map(); // name -> { graph name: Graph }

const WORK = {
  start({ module }) {
    kernels = new Kernels(module);
    models.clear();
  },

  load({ name, graphs }) {
    const made = {};
    for (const [graph, bytes] of Object.entries(graphs))
      made[graph] = new Graph(kernels, bytes);
    models.set(name, made);
  },

  /** Latents `near` the core of a window, and the preview of its `core`, if wanted. */
  latents({ name, symbols, vectors, near, core, unit, previewPx }) {
    const { mean_context, preview } = models.get(name);
    const { gain, inverse_gain } = rowsOf(vectors);
    const { latents } = mean_context.run({
      residuals: floats(symbols.residuals),
      hyper_latents: floats(symbols.hyper),
      gain,
      inverse_gain,
    });
    const found = { latents: cut(latents, near, unit) };
    if (previewPx) {
      const { image } = preview.run({ latents: found.latents, inverse_gain });
      found.preview = cut(image, core, previewPx);
    }
    return found;
  },

  /** The pixels of the `core` of a window. */
  pixels({ name, latents, vectors, core, cellPx }) {
    const { inverse_gain, block_scale } = rowsOf(vectors);
    const { image } = models
      .get(name)
      .synthesis.run({ latents, inverse_gain, block_scale });
    return { pixels: cut(image, core, cellPx) };
  },
};

function floats({ data, shape }) {
  return { data: Float32Array.from(data), shape };
}

function rowsOf(vectors) {
  const entries = Object.entries(vectors);
  return Object.fromEntries(
    entries.map(([name, data]) => [name, { data, shape: [1, 1, data.length] }]),
  );
}

self.onmessage = ({ data }) => {
  try {
    const found = WORK[data.work](data) ?? {};
    const transfer = Object.values(found).map((array) => array.data.buffer);
    self.postMessage({ found }, transfer);
  } catch (error) {
    self.postMessage({ error: error.message });
  }
};
