// The page of a folder: rows of pictures, and more of them as they are scrolled to.

import { AddedPictures } from "./upload.js";
import { Viewer } from "./viewer.js";

const RATIOS = [0.5, 4]; // width to height; what is longer is cropped in the rows
const list = document.querySelector(".pictures");

function layOut(items) {
  for (const item of items) {
    const { width, height } = item.dataset;
    const ratio = Number(width) ? width / height : 1;
    item.style.setProperty("--ratio", Math.min(Math.max(ratio, RATIOS[0]), RATIOS[1]));
  }
}

/** The next pictures of the folder; false if there are none. */
async function more() {
  const place = document.querySelector(".more");
  if (!place) return false;
  const response = await fetch(place.querySelector("a").href);
  if (!response.ok) throw new Error(`status ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const items = [...page.querySelectorAll(".pictures > li")];
  layOut(items);
  list.append(...items);
  const next = page.querySelector(".more");
  place.replaceWith(...(next ? [next] : []));
  if (next) watcher.observe(next);
  return true;
}

let coming = null;

/** As `more`, once at a time. */
function once() {
  coming ??= more().finally(() => (coming = null));
  return coming;
}

const watcher = new IntersectionObserver(
  (entries) => {
    if (entries.some(({ isIntersecting }) => isIntersecting)) once().catch(() => {}); // the link stays
  },
  { rootMargin: "150%" },
);

layOut(list.children);
const link = document.querySelector(".more");
if (link) watcher.observe(link);

// A thumbnail that cannot be had, of a file that is no longer there or of another model.
list.addEventListener(
  "error",
  ({ target }) => {
    const facts = target.closest(".picture")?.querySelector(".facts");
    facts?.classList.add("fault");
    facts?.replaceChildren("cannot be shown");
  },
  true,
);

const viewer = new Viewer(document.getElementById("viewer"), list, once);
viewer.follow();
const add = document.getElementById("add");
if (!add.hidden) new AddedPictures(document.getElementById("upload"), add);
