// The photo with the object's outline on one canvas, zoomed by the wheel and panned by a drag; other layers follow it.

import { fit, ring } from "./photo.js";

const MOST = 6;
const STEP = 1.25;

export class PhotoView {
  /** canvas: of the photo; onPlace({x, y, width, height}): where the whole photo lies now, in CSS pixels of the canvas. */
  constructor(canvas, onPlace = () => {}) {
    this.canvas = canvas;
    this.onPlace = onPlace;
    this.outlined = true;
    this.whole();
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    canvas.addEventListener("pointerdown", (event) => this.#grab(event));
    canvas.addEventListener("pointermove", (event) => this.#drag(event));
    canvas.addEventListener("dblclick", () => this.whole());
    this.watch = new ResizeObserver(() => this.draw());
    this.watch.observe(canvas);
  }

  /** photo: an image; shape: its mask as a stencil, or null. */
  show(photo, shape) {
    Object.assign(this, { photo, shape });
    this.whole();
  }

  /** The whole photo. */
  whole() {
    Object.assign(this, { zoom: 1, shift: [0, 0] });
    this.draw();
  }

  /** Closer (factor above 1) or farther, with one point of the canvas held: its middle unless given. */
  zoomBy(factor, at = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2]) {
    const zoom = Math.max(1, Math.min(MOST, this.zoom * factor));
    const middle = [this.canvas.clientWidth / 2, this.canvas.clientHeight / 2];
    this.shift = this.shift.map((value, axis) => at[axis] - middle[axis] - ((at[axis] - middle[axis] - value) * zoom) / this.zoom);
    this.zoom = zoom;
    this.draw();
  }

  closer() {
    this.zoomBy(STEP);
  }

  farther() {
    this.zoomBy(1 / STEP);
  }

  /** Show or hide the object's outline. */
  outline(on) {
    this.outlined = on;
    this.draw();
  }

  #wheel(event) {
    event.preventDefault();
    this.zoomBy(event.deltaY < 0 ? STEP : 1 / STEP, [event.offsetX, event.offsetY]);
  }

  #grab(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.from = [event.clientX - this.shift[0], event.clientY - this.shift[1]];
  }

  #drag(event) {
    if (!event.buttons || !this.from || this.zoom === 1) return;
    this.shift = [event.clientX - this.from[0], event.clientY - this.from[1]];
    this.draw();
  }

  /** Where the whole photo lies in the canvas, in CSS pixels. At least half of the view stays covered. */
  place() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const { naturalWidth, naturalHeight } = this.photo;
    const scale = fit([0, 0, naturalWidth, naturalHeight], width, height).scale * this.zoom;
    const size = [naturalWidth * scale, naturalHeight * scale];
    const room = size.map((side, axis) => Math.max(0, (side - [width, height][axis]) / 2));
    this.shift = this.shift.map((value, axis) => Math.max(-room[axis], Math.min(room[axis], value)));
    return { x: (width - size[0]) / 2 + this.shift[0], y: (height - size[1]) / 2 + this.shift[1], width: size[0], height: size[1] };
  }

  draw() {
    if (!this.photo || !this.canvas.clientWidth) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.max(1, Math.round(side * ratio)));
    Object.assign(this.canvas, { width, height });
    const place = this.place();
    const box = [place.x, place.y, place.width, place.height].map((value) => value * ratio);
    const context = this.canvas.getContext("2d");
    context.drawImage(this.photo, ...box);
    if (this.shape && this.outlined) context.drawImage(ring(this.shape, box, width, height, 2 * ratio), 0, 0);
    this.onPlace(place);
  }

  dispose() {
    this.watch.disconnect();
  }
}
