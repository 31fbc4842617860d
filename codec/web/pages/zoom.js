// Zoom and pan, by mouse, wheel, touch and keys.

const SCALE_MAX = 32; // CSS pixels to a pixel of the picture
export const STEP = 1.5; // of buttons and keys
const PAN_PX = 80;
const SWIPE_PX = 60;
const TAP = { ms: 300, px: 30 };
const SMOOTH_UNTIL = 3; // device pixels to a pixel, which is a square from here on

export class Zoom {
  #pointers = new Map();
  #moved = { x: 0, y: 0 };
  #lastTap = { time: 0, x: 0, y: 0 };
  #pinched = false;
  #pane = null; // where a gesture began, as the events of it name the stage alone
  #size = [0, 0];
  #fitted = true;
  #scale = 1;
  #x = 0;
  #y = 0;

  /** All `.zoomed` elements in `stage` are moved as one; `pane()` is an element that
   * shows one of them. `swiped(1)` asks for the next picture, `swiped(-1)` for the one
   * before; `changed` is called with the scale in device pixels. */
  constructor(stage, { pane = () => stage, swiped, changed } = {}) {
    Object.assign(this, { stage, pane, swiped, changed });
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const name of ["pointerup", "pointercancel"])
      stage.addEventListener(name, (event) => this.#up(event));
    new ResizeObserver(() => this.#place()).observe(stage);
  }

  /** Another picture, of so many pixels, in whole; or the same at another rate, which
   * stays where it is. */
  show(width, height, { stay = false } = {}) {
    const same = width === this.#size[0] && height === this.#size[1];
    this.#size = [width, height];
    if (!(stay && same)) this.#fitted = true;
    this.#place();
  }

  get #inside() {
    const { clientWidth, clientHeight } = this.pane();
    return [clientWidth, clientHeight];
  }

  get #fitting() {
    const [width, height] = this.#inside;
    return Math.min(width / this.#size[0], height / this.#size[1], 1);
  }

  get #actual() {
    return 1 / devicePixelRatio;
  }

  fit() {
    this.#fitted = true;
    this.#place();
  }

  /** One pixel of the picture to each of the device; around a point of the pane. */
  actual(point) {
    this.#to(this.#actual, point);
  }

  /** The whole picture, or clearly more of it. */
  toggle(point) {
    if (this.#fitted) this.#to(Math.max(this.#actual, 2 * this.#fitting), point);
    else this.fit();
  }

  by(factor, point) {
    this.#to(this.#scale * factor, point);
  }

  pan(dx, dy) {
    this.#x += dx;
    this.#y += dy;
    this.#place();
  }

  /** Whether a key was one that zooms or, if the picture is larger than its pane, pans. */
  key({ key, ctrlKey, metaKey, altKey }) {
    if (ctrlKey || metaKey || altKey) return false;
    if (key === "+" || key === "=") this.by(STEP);
    else if (key === "-") this.by(1 / STEP);
    else if (key === "0") this.fit();
    else if (key === "1") this.actual();
    else if (this.#fitted) return false;
    else if (key === "ArrowLeft") this.pan(PAN_PX, 0);
    else if (key === "ArrowRight") this.pan(-PAN_PX, 0);
    else if (key === "ArrowUp") this.pan(0, PAN_PX);
    else if (key === "ArrowDown") this.pan(0, -PAN_PX);
    else return false;
    return true;
  }

  #to(scale, point) {
    const [width, height] = this.#inside;
    const { x, y } = point ?? { x: width / 2, y: height / 2 };
    const least = Math.min(this.#fitting, this.#actual);
    const bounded = Math.min(Math.max(scale, least), SCALE_MAX);
    const factor = bounded / this.#scale;
    this.#x = x - (x - this.#x) * factor;
    this.#y = y - (y - this.#y) * factor;
    this.#scale = bounded;
    this.#fitted = Math.abs(bounded / this.#fitting - 1) < 0.01;
    this.#place();
  }

  #place() {
    const [width, height] = this.#size;
    if (!width || !this.#inside[0]) return;
    if (this.#fitted) this.#scale = this.#fitting;
    const scale = this.#scale;
    [this.#x, this.#y] = [
      [this.#x, width * scale, this.#inside[0]],
      [this.#y, height * scale, this.#inside[1]],
    ].map(([start, side, room]) =>
      side <= room ? (room - side) / 2 : Math.min(0, Math.max(room - side, start)),
    );
    this.#draw(this.#x, this.#y);
    this.changed?.(scale * devicePixelRatio);
  }

  #draw(x, y) {
    const [width, height] = this.#size;
    const scale = this.#scale;
    const rendering = scale * devicePixelRatio >= SMOOTH_UNTIL ? "pixelated" : "auto";
    const size = Math.min(scale, 1); // smaller by the size, so that <aec-img> takes means
    for (const { style } of this.stage.querySelectorAll(".zoomed")) {
      style.width = `${width * size}px`;
      style.height = `${height * size}px`;
      style.imageRendering = rendering;
      style.transform = `translate(${x}px, ${y}px) scale(${scale / size})`;
    }
  }

  /** Where a pointer is in a pane. */
  #point({ clientX, clientY }, pane) {
    const { left, top } = pane.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  #paneOf({ target }) {
    return target.closest(".pane") ?? this.stage;
  }

  #wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    const speed = event.ctrlKey ? 0.01 : 0.002; // a trackpad is pinched, or a wheel turned
    this.by(Math.exp(-event.deltaY * lines * speed), this.#point(event, this.#paneOf(event)));
  }

  #down(event) {
    if (event.button || event.target.closest("button, a, [role=slider]")) return;
    this.stage.setPointerCapture(event.pointerId);
    if (!this.#pointers.size) {
      this.#moved = { x: 0, y: 0 };
      this.#pinched = false;
      this.#pane = this.#paneOf(event);
    }
    this.#pointers.set(event.pointerId, this.#point(event, this.#pane));
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#point(event, this.#pane);
    const others = [...this.#pointers].filter(([id]) => id !== event.pointerId);
    this.#pointers.set(event.pointerId, now);
    const [dx, dy] = [now.x - before.x, now.y - before.y];
    this.#moved.x += dx;
    this.#moved.y += dy;
    if (others.length) {
      const other = others[0][1];
      const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
      this.#pinched = true;
      this.pan(dx / 2, dy / 2);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.by(distance(now) / distance(before), middle);
    } else if (!this.#fitted) this.pan(dx, dy);
    else if (this.swiped && !this.#pinched) this.#draw(this.#x + this.#moved.x, this.#y);
  }

  #up(event) {
    const point = this.#pointers.get(event.pointerId);
    if (!point) return;
    this.#pointers.delete(event.pointerId);
    if (this.#pointers.size || this.#pinched) return;
    const { x, y } = this.#moved;
    if (event.type === "pointercancel") this.#place();
    else if (Math.hypot(x, y) < 5) this.#tap(event.timeStamp, point);
    else if (this.#fitted) {
      this.#place();
      if (Math.abs(x) > SWIPE_PX && Math.abs(x) > 2 * Math.abs(y))
        this.swiped?.(x < 0 ? 1 : -1);
    }
  }

  #tap(time, { x, y }) {
    const last = this.#lastTap;
    const near = Math.hypot(x - last.x, y - last.y) < TAP.px;
    const twice = time - last.time < TAP.ms && near;
    this.#lastTap = { time: twice ? 0 : time, x, y };
    if (twice) this.toggle({ x, y });
  }
}
