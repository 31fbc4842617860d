// Two pictures of the same size, over each other with a line to move, or side by side.

import "./aec.js"; // <aec-img>
import { Zoom } from "./zoom.js";

export const AEC_TYPE = "image/x-aec";
const KEYS = { ArrowLeft: -5, ArrowDown: -5, ArrowRight: 5, ArrowUp: 5, Home: -100, End: 100 };

export class Compare {
  #coming = [null, null];

  constructor(element) {
    this.element = element;
    element.classList.add("compare");
    this.panes = [0, 1].map(() => {
      const pane = document.createElement("div");
      pane.className = "pane";
      const tag = document.createElement("span");
      tag.className = "tag";
      pane.append(tag);
      return pane;
    });
    this.divider = document.createElement("div");
    this.divider.className = "divider";
    for (const [name, value] of Object.entries({
      role: "slider",
      tabindex: 0,
      "aria-label": "How much of the first picture is shown, in percent",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    }))
      this.divider.setAttribute(name, value);
    element.append(...this.panes, this.divider);
    this.zoom = new Zoom(element, { pane: () => this.panes[0] });
    this.divider.addEventListener("keydown", (event) => {
      const step = KEYS[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.cut(this.percent + step);
    });
    this.divider.addEventListener("pointerdown", (event) => {
      this.divider.setPointerCapture(event.pointerId);
    });
    this.divider.addEventListener("pointermove", (event) => {
      if (!this.divider.hasPointerCapture(event.pointerId)) return;
      const { left, width } = element.getBoundingClientRect();
      this.cut((100 * (event.clientX - left)) / width);
    });
    this.cut(50);
  }

  /** Show the first picture up to so many percent of the width. */
  cut(percent) {
    this.percent = Math.min(100, Math.max(0, percent));
    this.element.style.setProperty("--cut", `${this.percent}%`);
    this.divider.setAttribute("aria-valuenow", Math.round(this.percent));
  }

  /** Side by side, or over each other. */
  beside(yes) {
    this.element.classList.toggle("side", yes);
    this.zoom.fit();
  }

  /** Show the first pane alone. */
  alone(yes) {
    this.element.classList.toggle("alone", yes);
  }

  /** Show a picture, a Blob, in the first pane (0) or the second (1), once it is decoded;
   * rejects if it cannot be. Another one that is still to come is given up. */
  async show(number, blob, label, alt) {
    const picture = document.createElement(blob.type === AEC_TYPE ? "aec-img" : "img");
    this.#coming[number]?.removeAttribute("src");
    this.#coming[number] = picture;
    picture.setAttribute("alt", alt);
    const url = URL.createObjectURL(blob);
    picture.src = url;
    try {
      await picture.decode();
    } catch (error) {
      if (this.#coming[number] !== picture) return;
      throw error;
    } finally {
      URL.revokeObjectURL(url);
    }
    if (this.#coming[number] !== picture) return;
    this.#coming[number] = null;
    this.clear(number, label);
    picture.classList.add("zoomed");
    picture.draggable = false;
    this.panes[number].prepend(picture);
    this.zoom.show(picture.naturalWidth, picture.naturalHeight, { stay: true });
  }

  clear(number, label = "") {
    this.#coming[number]?.removeAttribute("src"); // nobody waits for it any more
    this.#coming[number] = null;
    this.panes[number].querySelector(".zoomed")?.remove();
    this.panes[number].querySelector(".tag").textContent = label;
  }
}
