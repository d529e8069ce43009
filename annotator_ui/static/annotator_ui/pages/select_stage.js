// The picture of the Select page: photo, mask, clicks and flags on two canvases, drawn once a frame at most.

import { isPrompt, since } from "../strokes.js";
import { moved, over, under, whole, zoomed } from "../panning.js";
import { fit, loadImage } from "./photo.js";

const COLOUR = "#ffb000";
const ABGR = 0xff00b0ff; // the same as the bytes of a canvas have it
const SHARP = 2048; // longest side of the copy of the photo that is drawn when zoomed out
const CLOSE_PX = 10;

export class SelectStage {
  /** canvases: {photo, mask}, one over the other; content(): {drawing, list, stroke, corners, pointer, brush, box, flags, outline, opacity}. */
  constructor(canvases, content) {
    Object.assign(this, canvases);
    this.content = content;
    this.image = null;
    this.waiting = 0;
    this.stale = false;
    new ResizeObserver(() => this.image && this.resize()).observe(this.mask);
  }

  get size() {
    return [this.mask.clientWidth, this.mask.clientHeight];
  }

  async open(url) {
    const image = await loadImage(url);
    this.copy?.close?.();
    this.photoSize = [image.naturalWidth, image.naturalHeight];
    const { scale } = fit([0, 0, ...this.photoSize], SHARP, SHARP);
    this.copy = scale < 1 ? await createImageBitmap(image, { resizeWidth: Math.round(image.naturalWidth * scale), resizeHeight: Math.round(image.naturalHeight * scale), resizeQuality: "medium" }) : image;
    this.image = image;
    this.layer = null;
    this.fit();
  }

  /** Keep the same photo place in the middle when the window changes. */
  resize() {
    const [across, down] = this.size;
    const before = this.seen ?? [across, down];
    this.view = moved(this.view, [(across - before[0]) / 2, (down - before[1]) / 2], this.photoSize, this.size);
    if (this.isWhole) this.view = whole(this.photoSize, this.size);
    this.redraw(true);
  }

  fit() {
    this.view = whole(this.photoSize, this.size);
    this.isWhole = true;
    this.redraw(true);
  }

  zoom(factor, place = this.size.map((each) => each / 2)) {
    this.view = zoomed(this.view, factor, place, this.photoSize, this.size);
    this.isWhole = false;
    this.redraw(true);
  }

  pan(by) {
    this.view = moved(this.view, by, this.photoSize, this.size);
    this.isWhole = false;
    this.redraw(true);
  }

  /** Photo place under a place on the canvas, and back. */
  under = (place) => under(this.view, place);
  over = (place) => over(this.view, place);

  isNear(place, other) {
    const [a, b] = [place, other].map((each) => over(this.view, each));
    return Math.hypot(a[0] - b[0], a[1] - b[1]) < CLOSE_PX;
  }

  redraw(withPhoto = false) {
    this.stale ||= withPhoto;
    this.waiting ||= requestAnimationFrame(() => {
      this.waiting = 0;
      if (!this.image) return;
      if (this.stale) this.#photo();
      this.stale = false;
      this.#mask();
    });
  }

  #context(canvas) {
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = this.size.map((each) => Math.max(1, Math.round(each * this.ratio)));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  #place(context, { scale, x, y } = this.view) {
    const { ratio } = this;
    context.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
  }

  #photo() {
    const context = this.#context(this.photo);
    this.seen = this.size;
    this.#place(context);
    const { scale } = this.view;
    context.imageSmoothingEnabled = scale < 4;
    const isClose = scale * this.ratio * this.photoSize[0] > this.copy.width * 1.2;
    context.drawImage(isClose ? this.image : this.copy, 0, 0, ...this.photoSize);
  }

  #mask() {
    const content = this.content();
    const context = this.#context(this.mask);
    if (!content.drawing) return;
    const mask = this.#shape(content.drawing.raster);
    if (!content.outline) {
      context.globalAlpha = content.opacity;
      context.drawImage(mask, 0, 0);
    }
    context.globalAlpha = 1;
    context.drawImage(this.#rim(mask), 0, 0);
    this.#place(context, { scale: 1, x: 0, y: 0 });
    drawCorners(context, content, this);
    drawPrompts(context, content, this);
    drawFlags(context, content, this);
    drawBrush(context, content, this);
  }

  /** The mask as it lies on the screen; only what has changed goes into the layer. */
  #shape(raster) {
    this.layer ??= new OffscreenCanvas(raster.width, raster.height);
    const dirty = raster.takeDirty();
    if (dirty) {
      const [x0, y0, x1, y1] = dirty;
      const pixels = new ImageData(x1 - x0, y1 - y0);
      const words = new Uint32Array(pixels.data.buffer);
      for (let y = y0, to = 0; y < y1; y += 1) for (let at = y * raster.width + x0; at < y * raster.width + x1; at += 1, to += 1) words[to] = raster.data[at] ? ABGR : 0;
      this.layer.getContext("2d").putImageData(pixels, x0, y0);
    }
    const made = this.#spare("shape");
    this.#place(made);
    made.imageSmoothingEnabled = this.view.scale < 4 * raster.scale;
    made.drawImage(this.layer, 0, 0, ...this.photoSize);
    return made.canvas;
  }

  /** Only the rim of the mask: shifted in eight directions, then its inside cut out. */
  #rim(mask) {
    const made = this.#spare("rim");
    const width = 1.6 * this.ratio;
    for (let step = 0; step < 8; step += 1) made.drawImage(mask, Math.round(Math.cos((step * Math.PI) / 4) * width), Math.round(Math.sin((step * Math.PI) / 4) * width));
    made.globalCompositeOperation = "destination-out";
    made.drawImage(mask, 0, 0);
    made.globalCompositeOperation = "source-over";
    return made.canvas;
  }

  /** An empty canvas of the screen's size, kept from frame to frame. */
  #spare(name) {
    this[name] ??= new OffscreenCanvas(1, 1);
    return this.#context(this[name]);
  }
}

/** A line that can be seen on light and on dark. */
function line(context, width = 1.6) {
  context.lineWidth = width + 2;
  context.strokeStyle = "#000b";
  context.stroke();
  context.lineWidth = width;
  context.strokeStyle = COLOUR;
  context.stroke();
}

function drawCorners(context, { corners, pointer }, stage) {
  if (!corners.length) return;
  const places = [...corners, ...(pointer ? [pointer] : [])].map(stage.over);
  context.beginPath();
  places.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
  line(context);
  context.beginPath();
  for (const [x, y] of corners.map(stage.over)) context.rect(x - 3, y - 3, 6, 6);
  line(context);
}

/** Clicks: + on the object, − beside it; the box dashed. */
function drawPrompts(context, { list, box }, stage) {
  const asked = since(list).filter((edit) => isPrompt(edit) && !edit.refused);
  const last = box ?? asked.findLast((edit) => edit.kind === "box")?.box;
  if (last) {
    const [[x0, y0], [x1, y1]] = [stage.over(last.slice(0, 2)), stage.over(last.slice(2))];
    context.beginPath();
    context.rect(x0, y0, x1 - x0, y1 - y0);
    context.setLineDash([6, 4]);
    line(context);
    context.setLineDash([]);
  }
  for (const { at, positive } of asked.filter((edit) => edit.kind === "click")) {
    const [x, y] = stage.over(at);
    context.beginPath();
    context.arc(x, y, 6, 0, 2 * Math.PI);
    context.fillStyle = positive ? "#ffffff" : "#101113";
    context.fill();
    context.lineWidth = 1.5;
    context.strokeStyle = positive ? "#101113" : "#ffffff";
    context.stroke();
    context.beginPath();
    context.moveTo(x - 3.5, y);
    context.lineTo(x + 3.5, y);
    if (positive) context.moveTo(x, y - 3.5), context.lineTo(x, y + 3.5);
    context.stroke();
  }
}

function drawFlags(context, { flags }, stage) {
  context.font = "13px system-ui, sans-serif";
  for (const { place, note } of flags) {
    const [x, y] = stage.over(place);
    const width = context.measureText(note).width + 12;
    context.fillStyle = "#101113e0";
    context.fillRect(x, y - 30, width, 20);
    context.beginPath();
    context.moveTo(x, y - 30);
    context.lineTo(x, y);
    line(context);
    context.fillStyle = "#ffffff";
    context.fillText(note, x + 6, y - 16);
  }
}

function drawBrush(context, { pointer, brush }, stage) {
  if (!pointer) return;
  const [x, y] = stage.over(pointer);
  context.beginPath();
  if (brush) context.arc(x, y, Math.max(1, (brush * stage.view.scale) / 2), 0, 2 * Math.PI);
  else context.moveTo(x - 7, y), context.lineTo(x + 7, y), context.moveTo(x, y - 7), context.lineTo(x, y + 7);
  line(context, 1.2);
}
