// Pictures that are added: encoded by the service, looked at beside the original, and
// kept only then.

import { readInfo } from "./aec.js";
import { AEC_TYPE, Compare } from "./compare.js";
import { acceptFiles } from "./drops.js";
import { rateText, sizeText } from "./format.js";
import { send } from "./requests.js";

const SUFFIX = ".aec";
const CONFLICT = 409;
const SETTLED_MS = 350; // after the last change of the quality

export class AddedPictures {
  #waiting = [];
  #count = 0;
  #kept = new Set(); // by their URLs
  #file = null; // the original
  #coded = null; // a promise for what is kept of it, a Blob
  #stop = new AbortController();
  #timer = 0;

  constructor(dialog, button) {
    this.dialog = dialog;
    this.form = dialog.querySelector("form");
    this.compare = new Compare(dialog.querySelector(".compared"));
    acceptFiles(button, document.getElementById("files"), (files) => this.add(files));
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#keep().catch(() => {}); // it is told
    });
    const actions = { skip: () => this.#next(), all: () => this.#keepAll(), close: () => this.#end() };
    dialog.addEventListener("click", ({ target }) => {
      actions[target.closest("[data-do]")?.dataset.do]?.();
    });
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.#end();
    });
    dialog.addEventListener("keydown", (event) => {
      if (event.target.closest(".compare") && this.compare.zoom.key(event)) event.preventDefault();
    });
    const { quality } = this.form.elements;
    quality.addEventListener("input", () => {
      this.form.querySelector("output").textContent = quality.value;
      this.#settle();
      this.#timer = setTimeout(() => this.#encode(), SETTLED_MS);
    });
  }

  add(files) {
    this.#waiting.push(...files);
    this.#count += files.length;
    if (!this.dialog.open && files.length) {
      this.dialog.showModal();
      this.#next();
    } else this.#place();
  }

  #place() {
    const number = this.#count - this.#waiting.length;
    const left = this.#waiting.length + 1;
    this.dialog.querySelector(".place").textContent = `${number} of ${this.#count}`;
    const all = this.form.querySelector("[data-do=all]");
    all.hidden = left < 2;
    all.textContent = `Keep all ${left}`;
  }

  /** Wait no longer for changes of the quality. */
  #settle() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  #next() {
    this.#settle();
    this.#stop.abort();
    this.#file = this.#waiting.shift();
    if (!this.#file) return this.#end();
    this.#place();
    const { name } = this.#file;
    this.form.elements.name.value = name.replace(/\.[^.]+$/, "").replace(/^\.+/, "") || "picture";
    this.#showOriginal();
    return this.#encode();
  }

  get #isCoded() {
    return this.#file.name.toLowerCase().endsWith(SUFFIX);
  }

  #showOriginal() {
    [0, 1].forEach((number) => this.compare.clear(number));
    this.form.querySelector(".quality").hidden = this.#isCoded;
    this.compare.alone(this.#isCoded);
    if (this.#isCoded) return;
    const file = this.#file;
    this.compare
      .show(0, file, `Original · ${sizeText(file.size)}`, "The original")
      .catch(() => this.compare.clear(0, "This browser cannot show the original"));
  }

  /** Encode with the quality that is set, and show what came out. */
  #encode() {
    this.#settle();
    this.#stop.abort();
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const keep = this.form.querySelector("[type=submit]");
    keep.disabled = false; // it waits for what is encoded
    this.#coded = this.#isCoded
      ? Promise.resolve(new Blob([this.#file], { type: AEC_TYPE }))
      : this.#codedBy(signal);
    this.#coded.catch(() => (keep.disabled = !signal.aborted || keep.disabled));
    return this.#coded
      .then((data) => this.#showCoded(data, signal))
      .catch((error) => this.#failed(error, signal));
  }

  async #codedBy(signal) {
    const quality = this.form.elements.quality.value;
    const url = `${document.body.dataset.top}.encode?quality=${quality}`;
    const { data } = await send("POST", url, this.#file, {
      signal,
      told: (share) => this.#progress(share, share === null ? "Encoding…" : "Sending…"),
    });
    return data;
  }

  async #showCoded(data, signal) {
    this.#progress(null, "Decoding…");
    const { width, height, bytes } = await readInfo(data, { signal });
    await this.compare.show(this.#isCoded ? 0 : 1, data, `Coded · ${sizeText(bytes)}`, "The picture as coded");
    const isTold = this.form.querySelector(".sizes.fault"); // that it could not be kept
    if (signal.aborted || isTold) return;
    const facts = `${sizeText(bytes)} · ${rateText(bytes, width, height)}`;
    const share = ((100 * bytes) / this.#file.size).toPrecision(2);
    const before = this.#isCoded ? "" : `${sizeText(this.#file.size)} → `;
    this.#progress(1, `${before}${facts}${this.#isCoded ? "" : ` · ${Number(share)} %`}`);
  }

  async #keep() {
    if (this.#timer) this.#encode(); // the quality has just been changed
    const { signal } = this.#stop;
    const { name } = this.form.elements;
    const url = `${encodeURIComponent(name.value)}${SUFFIX}`;
    try {
      const data = await this.#coded;
      if (this.#isThere(url)) throw Object.assign(new Error(), { status: CONFLICT });
      await send("PUT", url, data, {
        signal,
        told: (share) => this.#progress(share, "Keeping…"),
      });
    } catch (error) {
      this.#failed(error, signal);
      if (error.status === CONFLICT) name.focus();
      throw error;
    }
    this.#kept.add(url);
    return this.#next();
  }

  /** Whether the folder is known to have this; the service knows better. */
  #isThere(url) {
    const links = [...document.querySelectorAll(".pictures li > a")];
    const same = (other) => decodeURIComponent(other) === decodeURIComponent(url);
    return this.#kept.has(url) || links.some((link) => same(link.getAttribute("href")));
  }

  async #keepAll() {
    try {
      while (this.dialog.open) await this.#keep();
    } catch {
      // It is told, and the picture is still there.
    }
  }

  #failed(error, signal) {
    if (signal.aborted) return;
    const exists = error.status === CONFLICT;
    const text = exists ? "There is a picture of this name: choose another" : error.message;
    this.#progress(1, text, true);
  }

  /** How far it is; null if that is not known. */
  #progress(share, text, fault = false) {
    const bar = this.form.querySelector("progress");
    if (share === null) bar.removeAttribute("value");
    else bar.value = share;
    const sizes = this.form.querySelector(".sizes");
    sizes.textContent = text;
    sizes.classList.toggle("fault", fault);
  }

  #end() {
    this.#settle();
    this.#stop.abort();
    this.#waiting = [];
    this.#count = 0;
    this.dialog.close();
    if (this.#kept.size) location.reload();
  }
}
