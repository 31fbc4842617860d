// One picture of the folder in full. Its name is in the URL, behind #.

import "./aec.js"; // <aec-img>
import { rateText, sizeText } from "./format.js";
import { STEP, Zoom } from "./zoom.js";

export class Viewer {
  #name = null;
  #pushed = false; // whether "back" closes the picture

  /** `list` has the pictures as <li>; `more()` is a promise for more of them. */
  constructor(dialog, list, more) {
    Object.assign(this, { dialog, list, more });
    this.stage = dialog.querySelector(".stage");
    this.zoom = new Zoom(this.stage, {
      swiped: (step) => this.step(step),
      changed: (scale) => {
        dialog.querySelector(".scale").textContent = `${Math.round(100 * scale)} %`;
      },
    });
    this.actions = {
      out: () => this.zoom.by(1 / STEP),
      in: () => this.zoom.by(STEP),
      toggle: () => this.zoom.toggle(),
      full: () => this.fullScreen(),
      alike: () => this.#alike(),
      close: () => this.close(),
      previous: () => this.step(-1),
      next: () => this.step(1),
    };
    list.addEventListener("click", (event) => this.#clicked(event));
    dialog.addEventListener("click", (event) => {
      const { target } = event;
      const hash = target.closest("a")?.getAttribute("href");
      if (hash?.startsWith("#")) {
        event.preventDefault();
        this.#go(hash, "replaceState");
      }
      this.actions[target.closest("[data-do]")?.dataset.do]?.();
      const menu = dialog.querySelector(".downloads");
      if (!target.closest("summary")) menu.open = false;
    });
    dialog.addEventListener("keydown", (event) => this.#key(event));
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      this.close();
    });
    addEventListener("hashchange", () => this.follow());
  }

  /** Show what the URL says. */
  follow() {
    const name = nameIn(location.hash);
    if (name === this.#name) return;
    this.#name = name;
    if (name === null) this.#end();
    else this.#show(name);
  }

  close() {
    if (this.#pushed) history.back();
    else this.#go("", "replaceState");
  }

  async step(by) {
    const name = this.#name;
    const item = this.#item(name);
    let next = by < 0 ? item?.previousElementSibling : item?.nextElementSibling;
    try {
      if (item && !next && by > 0 && (await this.more())) next = item.nextElementSibling;
    } catch (error) {
      this.#notice(error.message, true);
    }
    if (next && name === this.#name) this.#go(`#${next.querySelector("a").getAttribute("href")}`, "replaceState");
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.dialog.querySelector(".view").requestFullscreen?.().catch(() => {}); // not allowed
  }

  #clicked(event) {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    this.#pushed = true;
    this.#go(`#${link.getAttribute("href")}`, "pushState");
  }

  #go(hash, way) {
    history[way](null, "", hash || location.pathname + location.search);
    this.follow();
  }

  #key(event) {
    if (event.target.closest(".downloads") && event.key === "Escape") {
      event.preventDefault();
      this.dialog.querySelector(".downloads").open = false;
      return;
    }
    const steps = { ArrowLeft: "previous", ArrowRight: "next", f: "full", m: "alike" };
    if (this.zoom.key(event)) event.preventDefault();
    else if (!event.ctrlKey && !event.metaKey && !event.altKey && steps[event.key])
      this.actions[steps[event.key]]();
  }

  #item(name) {
    const links = [...this.list.querySelectorAll("li > a")];
    return links.find((link) => decoded(link.getAttribute("href")) === name)?.parentElement;
  }

  #show(name) {
    const item = this.#item(name);
    const url = encodeURIComponent(name);
    const stem = name.replace(/\.aec$/i, "");
    this.#text(".title", stem);
    this.#text(".facts", item?.querySelector(".facts:not(.fault)")?.textContent ?? "");
    this.#notice("");
    this.dialog.querySelector(".alike").hidden = true;
    for (const link of this.dialog.querySelectorAll(".menu a")) {
      const { format } = link.dataset;
      const salvage = item?.dataset.fault && format !== "aec" ? "&salvage=1" : "";
      link.href = `${url}?format=${format}${salvage}`;
      link.download = `${stem}.${format === "jpeg" ? "jpg" : format}`;
    }
    this.#arrows(item);
    if (!this.dialog.open) this.dialog.showModal();
    this.stage.replaceChildren();
    this.zoom.fit();
    if (item?.dataset.fault) this.#showDamaged(url, stem, item.dataset);
    else this.#showCoded(url, stem, item);
  }

  #showCoded(url, stem, item) {
    const thumbnail = item?.querySelector("img");
    if (thumbnail?.naturalWidth) {
      const { width, height } = item.dataset;
      this.stage.append(zoomed(Object.assign(new Image(), { src: thumbnail.currentSrc, alt: "" })));
      this.zoom.show(Number(width), Number(height));
    }
    const picture = document.createElement("aec-img");
    picture.setAttribute("alt", stem);
    picture.addEventListener("header", () => this.#header(picture));
    picture.addEventListener("load", () => this.stage.replaceChildren(picture));
    picture.addEventListener("error", () => this.#failed(picture, url, stem));
    this.stage.append(zoomed(picture));
    picture.src = `${url}?format=aec`;
  }

  #header({ info }) {
    const { width, height, bytes, quality, model } = info;
    const facts = [`${width} × ${height}`, sizeText(bytes), rateText(bytes, width, height)];
    facts.push(`quality ${Math.round(quality)}`, model);
    this.#text(".facts", facts.join(" · "));
    this.zoom.show(width, height, { stay: true });
  }

  /** The service decodes what this browser cannot. */
  #failed(picture, url, stem) {
    if (!picture.isConnected) return;
    const { message } = picture.error;
    const shown = () => this.#notice("Decoded by the service, as this browser cannot");
    this.#image(`${url}?format=png`, stem, shown, `: ${message}`);
  }

  #showDamaged(url, stem, { fault, left }) {
    this.#notice(fault, true);
    if (left === undefined) return;
    this.#image(`${url}?salvage=1`, stem, () => this.#notice(`${fault}. This is what is left of it.`, true));
  }

  #image(source, alt, shown, why = "") {
    const image = zoomed(Object.assign(new Image(), { src: source, alt }));
    image.addEventListener("load", () => {
      if (!image.isConnected) return;
      this.stage.replaceChildren(image);
      this.zoom.show(image.naturalWidth, image.naturalHeight, { stay: true });
      shown();
    });
    image.addEventListener("error", () => {
      if (image.isConnected) this.#notice(`This picture cannot be shown${why}`, true);
    });
    this.stage.append(image);
  }

  /** The pictures of the whole tree that look most like this one; asked for again while
   * the service gets to know more of them. */
  async #alike() {
    const { top, path } = document.body.dataset;
    const name = this.#name;
    const url = `${top}.search?like=${encodeURIComponent(path + name)}`;
    const list = this.dialog.querySelector(".alike");
    this.#notice("Looking for pictures like this one…");
    try {
      let left = Infinity;
      let before;
      do {
        const response = await fetch(url);
        if (!response.ok) throw new Error((await response.text()).trim());
        const found = await response.json();
        if (name !== this.#name) return;
        [before, left] = [left, found.left];
        list.replaceChildren(...found.alike.map((picture) => itemOf(top, path, picture)));
        list.hidden = !found.alike.length;
        this.#notice(left ? `Looking through ${left} more pictures…` : "");
      } while (left && left < before);
      if (left) this.#notice(`${left} pictures could not be looked through`);
      else if (list.hidden) this.#notice("There are no other pictures");
    } catch (error) {
      if (name === this.#name) this.#notice(error.message, true);
    }
  }

  #arrows(item) {
    const turns = { previous: item?.previousElementSibling, next: item?.nextElementSibling };
    const rest = document.querySelector(".more");
    for (const [name, there] of Object.entries(turns))
      this.dialog.querySelector(`[data-do=${name}]`).disabled =
        !there && !(name === "next" && item && rest);
  }

  #end() {
    this.#pushed = false;
    if (document.fullscreenElement) document.exitFullscreen();
    this.stage.replaceChildren();
    this.dialog.close();
  }

  #text(selector, text) {
    this.dialog.querySelector(`.viewer-bar ${selector}`).textContent = text;
  }

  #notice(text, fault = false) {
    const notice = this.dialog.querySelector(".notice");
    notice.textContent = text;
    notice.hidden = !text;
    notice.classList.toggle("fault", fault);
  }
}

function zoomed(element) {
  element.classList.add("zoomed");
  element.draggable = false;
  return element;
}

/** A picture that is found, as a link to it in its folder. */
function itemOf(top, here, { path }) {
  const split = path.lastIndexOf("/") + 1;
  const folder = path.slice(0, split);
  const [place, name] = [folder, path.slice(split)].map((part) =>
    part.split("/").map(encodeURIComponent).join("/"),
  );
  const link = document.createElement("a");
  link.href = `${folder === here ? "" : top + place}#${name}`;
  link.title = path;
  const image = new Image();
  Object.assign(image, { alt: path, src: `${top}${place}${name}?format=webp&w=256` });
  link.append(image);
  const item = document.createElement("li");
  item.append(link);
  return item;
}

function nameIn(hash) {
  return hash.length > 1 ? decoded(hash.slice(1)) : null;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
