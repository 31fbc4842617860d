// A picture by aecodec and by other codecs at the same size, to look at. The files come
// from the service, which encodes, or are samples that lie beside this page.

import { readInfo } from "./aec.js";
import { AEC_TYPE, Compare } from "./compare.js";
import { acceptFiles } from "./drops.js";
import { rateText, sizeText } from "./format.js";
import { send } from "./requests.js";
import { STEP } from "./zoom.js";

const NAMES = { original: "Original", aec: "aecodec", jpeg: "JPEG", webp: "WebP", avif: "AVIF" };
const OTHERS = ["jpeg", "webp", "avif"];
const SETTLED_MS = 350; // after the last change of the quality
const CELL_PX = 64; // to a multiple of which sides are extended
const SHRINK = 0.99; // until a picture is small enough
const STATIC = "This page is files only, so it decodes: to encode, run “aecodec serve FOLDER --try”. ";
const SERVED = "See what a quality costs, and how it looks. The other formats get as many bytes as aecodec took. ";

const facts = await (await fetch("playground.json")).json();
const form = document.querySelector(".controls");
const rows = document.querySelector("tbody");
const compare = new Compare(document.getElementById("compared"));
compare.zoom.changed = (scale) => {
  form.querySelector(".scale").textContent = `${Math.round(100 * scale)} %`;
};
let source = null; // where the files of the picture come from
let files = {}; // by the names of NAMES: { blob, quality }
let stop = new AbortController();
let timer = 0;

/** A picture that the service encodes. */
class Served {
  constructor(name, original, width, height) {
    Object.assign(this, { name, original, width, height });
  }

  async file(kind, quality, limit, options) {
    const query = kind === "aec" ? `quality=${quality}` : `format=${kind}&bytes=${limit}`;
    const answer = await send("POST", `${facts.encode}?${query}`, this.original, options);
    return { blob: answer.data, quality: answer.header("X-Quality") ?? quality };
  }
}

/** A picture that was encoded before, at some qualities. */
class Sample {
  constructor(sample, original) {
    Object.assign(this, sample, { original });
    this.qualities = Object.keys(sample.files).map(Number);
  }

  async file(kind, quality, limit, { signal }) {
    const { path, quality: its } = this.files[quality][kind];
    return { blob: await blobOf(path, signal), quality: its };
  }
}

async function blobOf(path, signal) {
  const response = await fetch(path, { signal });
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  const data = await response.arrayBuffer();
  const kind = path.slice(path.lastIndexOf(".") + 1);
  return new Blob([data], { type: kind === "aec" ? AEC_TYPE : `image/${kind}` });
}

/** The picture as all codecs can have it: upright, opaque, no side longer than `maxSide`, no
 * larger than `maxPixels`, for which sides count in whole cells. */
async function flattened(file, { maxPixels, maxSide }) {
  const bitmap = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} is no picture that this browser reads`);
  });
  const { width: broad, height: high } = bitmap;
  const cells = (side) => Math.ceil(side / CELL_PX);
  let [width, height] = [broad, high];
  for (
    let scale = 1;
    cells(width) * cells(height) * CELL_PX ** 2 > maxPixels || Math.max(width, height) > maxSide;
    scale *= SHRINK
  )
    [width, height] = [broad, high].map((side) => Math.max(1, Math.floor(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, width, height);
  const original = await canvas.convertToBlob({ type: "image/png" });
  return { original, width, height, reduced: width < broad || height < high };
}

function tell(text, fault = false) {
  const state = document.getElementById("state");
  state.textContent = text;
  state.classList.toggle("fault", fault);
}

function begin(next) {
  stop.abort();
  source = next;
  files = { original: { blob: source.original } };
  const { quality } = form.elements;
  const last = source.qualities?.length - 1;
  if (source.qualities) Object.assign(quality, { min: 0, max: last, value: last >> 1 });
  present(true);
  for (const number of [0, 1]) show(number).catch(failed);
  return update();
}

/** Show the parts of the page that are for comparing, or for one picture alone. */
function present(comparing) {
  document.getElementById("result").hidden = false;
  document.querySelector("table").hidden = !comparing;
  for (const part of form.querySelectorAll(".comparing")) part.hidden = !comparing;
  compare.alone(!comparing);
  for (const number of [0, 1]) compare.clear(number);
  if (!comparing) compare.beside(false);
  form.querySelector("output").textContent = comparing ? chosenQuality() : "";
}

function chosen(number) {
  return form.elements[["first", "second"][number]].value;
}

function chosenQuality() {
  const { value } = form.elements.quality;
  return source.qualities ? source.qualities[value] : Number(value);
}

/** Have all files at the quality that is set. */
async function update() {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  const quality = chosenQuality();
  const told = (share) => tell(share === null ? "Encoding…" : "Sending the picture…");
  for (const row of rows.children) row.classList.add("waiting");
  try {
    let limit = 0;
    for (const kind of ["aec", ...OTHERS]) {
      if (kind !== "aec") tell(`Encoding as ${NAMES[kind]}, at the same size…`);
      const file = await source.file(kind, quality, limit, { signal, told });
      signal.throwIfAborted();
      limit ||= file.blob.size;
      files[kind] = file;
      fill(kind, file);
      for (const number of [0, 1]) if (chosen(number) === kind) await show(number);
    }
    tell("");
  } catch (error) {
    if (!signal.aborted) failed(error);
  }
}

function failed(error) {
  tell(error.message, true);
}

function makeRows() {
  for (const kind of ["aec", ...OTHERS]) {
    const row = rows.insertRow();
    row.id = `row-${kind}`;
    const head = document.createElement("th");
    Object.assign(head, { scope: "row", textContent: NAMES[kind] });
    row.append(head);
    for (let column = 0; column < 4; column++) row.insertCell();
  }
}

function fill(kind, { blob, quality }) {
  const row = document.getElementById(`row-${kind}`);
  const [size, rate, its, link] = row.querySelectorAll("td");
  const anchor = link.querySelector("a") ?? document.createElement("a");
  URL.revokeObjectURL(anchor.href);
  anchor.textContent = "Download";
  anchor.setAttribute("aria-label", `Download the ${NAMES[kind]} file`);
  anchor.href = URL.createObjectURL(blob);
  anchor.download = `${stem(source.name)}.${kind === "jpeg" ? "jpg" : kind}`;
  link.replaceChildren(anchor);
  size.textContent = sizeText(blob.size);
  rate.textContent = rateText(blob.size, source.width, source.height);
  its.textContent = quality;
  row.classList.remove("waiting");
}

/** Show what is chosen for one side. */
async function show(number) {
  const kind = chosen(number);
  const blob = files[kind]?.blob;
  if (!blob) return compare.clear(number, `${NAMES[kind]} …`);
  const label = `${NAMES[kind]} · ${sizeText(blob.size)}`;
  await compare.show(number, blob, label, `The picture: ${NAMES[kind]}`);
}

function stem(name) {
  return name.replace(/\.[^.]+$/, "");
}

async function open(file) {
  try {
    tell("Reading the picture…");
    if (file.name.toLowerCase().endsWith(".aec")) return await openCoded(file);
    if (!facts.encode) throw new Error(`${STATIC}Choose an .aec file.`);
    const { original, width, height, reduced } = await flattened(file, facts);
    describe(file.name, `${width} × ${height}${reduced ? ", reduced to be compared" : ""}`);
    await begin(new Served(file.name, original, width, height));
  } catch (error) {
    failed(error);
  }
}

async function openCoded(file) {
  stop.abort();
  const blob = new Blob([file], { type: AEC_TYPE });
  const { width, height, bytes, quality } = await readInfo(blob);
  present(false);
  await compare.show(0, blob, file.name, file.name);
  const said = [`${width} × ${height}`, sizeText(bytes), rateText(bytes, width, height)];
  describe(file.name, ...said, `quality ${Math.round(quality)}`);
  tell("");
}

function describe(...said) {
  document.getElementById("facts").textContent = said.join(" · ");
}

function makeSamples() {
  for (const sample of facts.samples) {
    const item = document.createElement("li");
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: sample.name });
    button.addEventListener("click", () => {
      describe(sample.name, `${sample.width} × ${sample.height}`);
      blobOf(sample.original).then((original) => begin(new Sample(sample, original)), failed);
    });
    item.append(button);
    document.getElementById("samples").append(item);
  }
}

function makeChoices() {
  for (const [name, first] of Object.entries({ first: "aec", second: "jpeg" })) {
    for (const [kind, text] of Object.entries(NAMES))
      form.elements[name].add(new Option(text, kind, false, kind === first));
    const number = name === "first" ? 0 : 1;
    form.elements[name].addEventListener("change", () => show(number).catch(failed));
  }
  form.addEventListener("change", ({ target }) => {
    if (target.name === "way") compare.beside(target.value === "side");
  });
  form.addEventListener("click", ({ target }) => {
    const { zoom } = compare;
    const actions = {
      out: () => zoom.by(1 / STEP),
      in: () => zoom.by(STEP),
      toggle: () => zoom.toggle(),
    };
    actions[target.closest("[data-do]")?.dataset.do]?.();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.quality.addEventListener("input", () => {
    form.querySelector("output").textContent = chosenQuality();
    clearTimeout(timer);
    timer = setTimeout(update, SETTLED_MS);
  });
  addEventListener("keydown", (event) => {
    if (!event.target.closest("input, select") && compare.zoom.key(event)) event.preventDefault();
  });
}

const what = facts.encode ? "" : ".aec";
const input = Object.assign(document.getElementById("file"), { accept: what || "image/*,.aec" });
const button = document.getElementById("choose");
if (what) button.textContent = "Choose an .aec file";
const hint = facts.samples.length ? "Choose a sample, or an .aec file." : "Choose an .aec file.";
document.getElementById("explained").textContent = facts.encode ? SERVED : STATIC + hint;
document.getElementById("back").hidden = !facts.encode;
acceptFiles(button, input, ([file]) => file && open(file));
makeRows();
makeChoices();
makeSamples();
