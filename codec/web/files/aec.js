// <aec-img>, `decode` and `readInfo`; see README.md.

import { AecError } from "./errors.js";

export { AecError };

const MAX_PIXELS = 2 ** 26;
const REDUCED_BELOW = 2 / 3; // of its size
const SETTLED_MS = 60; // after the last change of its size
let decoder;
const calls = new Map(); // by id: what is told of its messages
let lastId = 0;

/** Let the worker do something; `heard` is called with all it posts before the end. */
function ask(work, source, { signal, maxPixels = MAX_PIXELS }, heard) {
  return new Promise((resolve, reject) => {
    if (!Number.isSafeInteger(maxPixels) || maxPixels < 1)
      throw new RangeError(`maxPixels is ${maxPixels}; expected a number from 1 on`);
    const id = ++lastId;
    const end = (finish) => (value) => {
      calls.delete(id);
      signal?.removeEventListener("abort", abort);
      finish(value);
    };
    const [done, failed] = [end(resolve), end(reject)];
    const abort = () => {
      decoder?.postMessage({ work: "cancel", id });
      failed(signal.reason);
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort);
    calls.set(id, { heard, done, failed });
    bytesOf(source, signal)
      .then((bytes) => {
        if (calls.has(id)) worker().postMessage({ work, id, bytes, maxPixels });
      })
      .catch(failed);
  });
}

function worker() {
  if (!decoder) {
    decoder = new Worker(new URL("decoder.js", import.meta.url), { type: "module" });
    decoder.onmessage = ({ data }) => {
      const call = calls.get(data.id);
      if (data.kind === "done") call?.done();
      else if (data.kind === "error")
        call?.failed(new (data.ofFile ? AecError : Error)(data.message));
      else hear(call, data);
    };
    decoder.onerror = (event) => {
      const error = new Error(event.message || "the decoder cannot be loaded");
      decoder.terminate();
      decoder = undefined;
      for (const { failed } of [...calls.values()]) failed(error);
    };
  }
  return decoder;
}

function hear(call, message) {
  try {
    call?.heard(message);
  } catch (error) {
    decoder.postMessage({ work: "cancel", id: message.id });
    call.failed(error);
  }
}

async function bytesOf(source, signal) {
  if (source instanceof Uint8Array) return source;
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Blob) return new Uint8Array(await source.arrayBuffer());
  const response =
    source instanceof Response ? source : await fetch(source, { signal });
  if (!response.ok) throw new Error(`${response.url}: status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** What is known of a file without its picture. */
export async function readInfo(source, options = {}) {
  let info;
  await ask("info", source, options, (message) => (info = message.info));
  return info;
}

/** { info, image } of a file; `image` is null if parts are told to `onPart`. */
export async function decode(source, options = {}) {
  const { onHeader, onPreview, onPart } = options;
  let info;
  let image = null;
  await ask("decode", source, options, (message) => {
    if (message.kind === "header") {
      info = message.info;
      onHeader?.(info);
      return;
    }
    const { x, y, width, height } = message.place;
    if (message.kind === "preview") {
      onPreview?.(imageOf(message, info), x, y, width, height);
      return;
    }
    if (onPart) return onPart(imageOf(message, info), x, y);
    image ??= blank(info);
    const into = new Uint32Array(image.data.buffer);
    const from = new Uint32Array(message.pixels.buffer);
    for (let row = 0; row < height; row++)
      into.set(
        from.subarray(row * width, (row + 1) * width),
        (y + row) * info.width + x,
      );
  });
  return { info, image };
}

function imageOf({ pixels, size }, { colorSpace }) {
  return new ImageData(pixels, size.width, size.height, { colorSpace });
}

function blank({ width, height, colorSpace }) {
  return new ImageData(width, height, { colorSpace });
}

// Not in <style>, which the policy of a page may refuse.
const style = new CSSStyleSheet();
style.replaceSync(`
:host { display: inline-block; max-width: 100%; overflow: hidden; vertical-align: bottom }
:host([hidden]) { display: none }
canvas { display: block; width: 100%; height: 100%; object-fit: inherit; object-position: inherit }
:host([state="error"]) canvas, :host(:not([state])) canvas { display: none }
canvas[hidden] { display: none }
span { display: none; font: italic 0.9em sans-serif }
:host([state="error"]) span { display: inline }
`);

class AecImage extends HTMLElement {
  static observedAttributes = ["src", "alt", "width", "height"];
  // Elements whose picture is not near the viewport yet.
  static #lazy = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries)
        if (isIntersecting) target.decode().catch(() => {}); // it is told by an event
    },
    { rootMargin: "50%" },
  );
  static #resized = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      clearTimeout(target.#resizing);
      target.#resizing = setTimeout(() => target.#reduce(), SETTLED_MS);
    }
  });
  #text = document.createElement("span");
  #sizes = new CSSStyleSheet();
  #small = document.createElement("canvas"); // as `canvas`, where it is shown smaller
  #smallWidth = 0;
  #resizing = 0;
  #role = null; // that is set here, and not by the page
  #stop = new AbortController();
  #promise = null;

  constructor() {
    super();
    this.canvas = document.createElement("canvas");
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [style, this.#sizes];
    root.append(this.canvas, this.#small, this.#text);
    this.#forget();
  }

  connectedCallback() {
    this.#describe();
    if (this.src && !this.#promise) this.#schedule();
    AecImage.#resized.observe(this);
  }

  disconnectedCallback() {
    AecImage.#lazy.unobserve(this);
    AecImage.#resized.unobserve(this);
    if (this.complete) return;
    this.#stop.abort();
    this.#promise = null;
  }

  attributeChangedCallback(name, before, value) {
    if (name === "alt") {
      this.#text.textContent = value;
      if (this.isConnected) this.#describe();
    } else if (name !== "src") this.#layOut();
    else if (before !== value) {
      this.#forget();
      if (this.isConnected && value) this.#schedule();
    }
  }

  /** As of <img>: an empty `alt` says that the picture is for decoration alone. */
  #describe() {
    const alt = this.getAttribute("alt");
    if (!this.hasAttribute("role") || this.getAttribute("role") === this.#role) {
      this.#role = alt === "" ? "presentation" : "img";
      this.setAttribute("role", this.#role);
    }
    if (alt) this.setAttribute("aria-label", alt);
    else this.removeAttribute("aria-label");
  }

  get src() {
    const value = this.getAttribute("src");
    return value ? new URL(value, document.baseURI).href : "";
  }

  set src(value) {
    this.setAttribute("src", value);
  }

  get naturalWidth() {
    return this.info?.width ?? 0;
  }

  get naturalHeight() {
    return this.info?.height ?? 0;
  }

  /** A promise for the whole picture, begun now. */
  decode() {
    AecImage.#lazy.unobserve(this);
    if (!this.src) return Promise.reject(new Error("there is no src"));
    return this.#promise ?? this.#begin();
  }

  #forget() {
    this.#stop.abort();
    AecImage.#lazy.unobserve(this);
    this.#promise = null;
    this.info = null;
    this.error = null;
    this.complete = false;
    this.removeAttribute("state");
    // New ones, as a canvas keeps the color space of its first picture.
    this.canvas = renewed(this.canvas);
    this.#small = renewed(this.#small);
    this.#showSmall(0);
  }

  #schedule() {
    if (this.getAttribute("loading") === "lazy") AecImage.#lazy.observe(this);
    else this.#begin();
  }

  #begin() {
    this.#stop = new AbortController();
    this.error = null;
    this.#promise = this.#draw(this.#stop.signal);
    this.#promise.catch(() => {}); // it is told by an event, too
    return this.#promise;
  }

  async #draw(signal) {
    const { canvas } = this;
    this.setAttribute("state", "loading");
    let context;
    try {
      await decode(this.src, {
        signal,
        onHeader: (info) => {
          this.info = info;
          context = contextOf(canvas, info);
          this.#layOut();
          this.dispatchEvent(new Event("header"));
        },
        onPreview: (image, x, y, width, height) => {
          this.#drawPreview(context, image, x, y, width, height);
        },
        onPart: (image, x, y) => context.putImageData(image, x, y),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      this.error = error;
      this.setAttribute("state", "error");
      this.dispatchEvent(new ErrorEvent("error", { error, message: error.message }));
      throw error;
    }
    this.complete = true;
    await this.#reduce();
    if (signal.aborted) return;
    this.setAttribute("state", "complete");
    this.dispatchEvent(new Event("load"));
  }

  /** Where the picture is shown much smaller than it is, show a copy of about that size:
   * browsers leave out pixels of a canvas, where they take means of an image's. */
  async #reduce() {
    const { canvas } = this;
    if (!this.complete) return;
    const [across, down] = [
      this.clientWidth / canvas.width,
      this.clientHeight / canvas.height,
    ];
    const scale = Math.max(across, down) * devicePixelRatio;
    const width = scale && scale < REDUCED_BELOW ? Math.ceil(canvas.width * scale) : 0;
    if (width === this.#smallWidth) return;
    this.#smallWidth = width;
    if (!width) return this.#showSmall(0);
    const height = Math.max(1, Math.round((canvas.height * width) / canvas.width));
    const size = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" };
    const bitmap = await createImageBitmap(canvas, size).catch(() => null); // no memory
    if (bitmap && width === this.#smallWidth) {
      Object.assign(this.#small, { width, height });
      const { colorSpace } = this.info;
      this.#small.getContext("2d", { colorSpace }).drawImage(bitmap, 0, 0);
      this.#showSmall(width);
    }
    bitmap?.close();
  }

  #showSmall(width) {
    this.#smallWidth = width;
    this.#small.hidden = !width;
    this.canvas.hidden = width > 0;
    if (!width) this.#small.width = this.#small.height = 0;
  }

  #drawPreview(context, image, x, y, width, height) {
    const small = new OffscreenCanvas(image.width, image.height);
    small.getContext("2d", { colorSpace: image.colorSpace }).putImageData(image, 0, 0);
    context.drawImage(small, x, y, width, height);
    if (this.getAttribute("state") !== "preview") {
      this.setAttribute("state", "preview");
      this.dispatchEvent(new Event("preview"));
    }
  }

  /** Sizes as of <img>: those of the attributes, or the picture's own. CSS of the page
   * comes before them. */
  #layOut() {
    const [width, height] = ["width", "height"].map((name) => {
      const value = Number.parseInt(this.getAttribute(name), 10);
      return value >= 0 ? value : null;
    });
    const natural = [this.naturalWidth, this.naturalHeight];
    const ratio = natural[0] ? natural : [width, height];
    const known = ratio[0] && ratio[1];
    const own = width ?? (height === null && natural[0] ? natural[0] : null);
    const rules = [
      own !== null && `width: ${own}px`,
      height !== null && `height: ${height}px`,
      known && `aspect-ratio: ${ratio[0]} / ${ratio[1]}`,
    ];
    this.#sizes.replaceSync(`:host { ${rules.filter(Boolean).join("; ")} }`);
  }
}

for (const name of ["alt", "loading", "width", "height"])
  Object.defineProperty(AecImage.prototype, name, {
    get() {
      return this.getAttribute(name) ?? "";
    },
    set(value) {
      this.setAttribute(name, value);
    },
  });

/** A canvas without pixels in the place of another. */
function renewed(canvas) {
  const fresh = document.createElement("canvas");
  fresh.part = "canvas";
  fresh.width = fresh.height = 0;
  canvas.replaceWith(fresh);
  return fresh;
}

/** What draws a picture; an Error if the browser has no canvas of its size. */
function contextOf(canvas, { width, height, colorSpace }) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { colorSpace });
  const corner = [width - 1, height - 1, 1, 1];
  context?.fillRect(...corner);
  let drawn = 0;
  try {
    drawn = context.getImageData(...corner).data[3];
  } catch {} // there is no context, or no memory for it
  if (!drawn) throw new Error(`no canvas here is of ${width} x ${height} pixels`);
  context.clearRect(...corner);
  return context;
}

customElements.define("aec-img", AecImage);
