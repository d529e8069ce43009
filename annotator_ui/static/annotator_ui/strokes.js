// The mask being drawn in the Select page: a list of edits, and the raster that they leave when done in order.
// Pure data, no canvas: an undo shortens the list, and the raster is made anew from it.

import { change } from "./history.js";
import { filled, polygons, swept } from "./masks.js";

const LONGEST = 2048;

/**
 * Edits, in pixels of the photo: {kind: "click", at, positive, polygons}, {kind: "box", box, polygons} (polygons of the
 * segmenter's reply, null until it is there), {kind: "polygon", points: [[x, y], ...], cut},
 * {kind: "brush" | "eraser", points, size}, {kind: "holes" | "specks" | "clear"}.
 */
export class Strokes {
  constructor(history, onChange = () => {}) {
    this.list = [];
    this.history = history;
    this.onChange = onChange;
  }

  /** Add an edit as one undo step; one without extent is left out. */
  add(edit) {
    if (edit.points && edit.points.length < (edit.kind === "polygon" ? 3 : 1)) return false;
    const set = (list) => {
      this.list = list;
      this.onChange();
    };
    this.history.run(change(edit.kind, set, this.list, [...this.list, edit]));
    return true;
  }

  /** Another object: nothing is drawn yet. */
  reset() {
    this.list = [];
    this.history.clear();
  }
}

/** Whether an edit asks the segmenter. */
export const isPrompt = (edit) => edit.kind === "click" || edit.kind === "box";

/** A mask as bytes (0 or 1, by rows), `scale` of its pixels to one of the photo; `dirty` is what has changed. */
export class Raster {
  constructor(width, height, scale = 1, data = new Uint8Array(width * height)) {
    Object.assign(this, { width, height, scale, data, dirty: null });
  }

  /** The part [x0, y0, x1, y1) that changed since the last call, or null. */
  takeDirty() {
    const { dirty } = this;
    this.dirty = null;
    return dirty;
  }

  touch([x0, y0, x1, y1]) {
    const [a, b, c, d] = this.dirty ?? [this.width, this.height, 0, 0];
    this.dirty = [Math.min(a, x0), Math.min(b, y0), Math.max(c, x1), Math.max(d, y1)];
  }

  /** Set the pixels of row y whose centres lie between the places from and to. */
  span(y, from, to, value) {
    const [x0, x1] = [Math.max(0, Math.ceil(from - 0.5)), Math.min(this.width, Math.ceil(to - 0.5))];
    if (x1 <= x0 || y < 0 || y >= this.height) return;
    this.data.fill(value, y * this.width + x0, y * this.width + x1);
    this.touch([x0, y, x1, y + 1]);
  }

  /** Fill a polygon (flat: x0, y0, x1, y1, ...) by the even-odd rule. */
  polygon(flat, value) {
    const rows = new Map();
    for (let at = 0; at < flat.length; at += 2) this.#crossings(rows, [flat[at], flat[at + 1]], [flat[(at + 2) % flat.length], flat[(at + 3) % flat.length]]);
    for (const [y, places] of rows) {
      places.sort((a, b) => a - b);
      for (let at = 0; at + 1 < places.length; at += 2) this.span(y, places[at], places[at + 1], value);
    }
  }

  #crossings(rows, a, b) {
    // From the upper end always: a seam that is walked both ways then cancels out exactly.
    const [[x0, y0], [x1, y1]] = (a[1] < b[1] ? [a, b] : [b, a]).map((corner) => corner.map((value) => value * this.scale));
    for (let y = Math.max(0, Math.ceil(y0 - 0.5)); y < Math.min(this.height, Math.ceil(y1 - 0.5)); y += 1) {
      const x = x0 + ((y + 0.5 - y0) * (x1 - x0)) / (y1 - y0);
      if (rows.has(y)) rows.get(y).push(x);
      else rows.set(y, [x]);
    }
  }

  /** A round brush of `size` moved from place to place. */
  brush(from, to, size, value) {
    const [a, b] = [from, to].map((place) => place.map((each) => each * this.scale));
    const radius = Math.max((size * this.scale) / 2, 0.75); // a pixel at least
    const length = Math.hypot(b[0] - a[0], b[1] - a[1]) || 1;
    const [nx, ny] = [((a[1] - b[1]) / length) * radius, ((b[0] - a[0]) / length) * radius];
    const sides = [[a[0] + nx, a[1] + ny], [b[0] + nx, b[1] + ny], [b[0] - nx, b[1] - ny], [a[0] - nx, a[1] - ny]];
    const last = Math.min(this.height - 1, Math.floor(Math.max(a[1], b[1]) + radius));
    for (let y = Math.max(0, Math.floor(Math.min(a[1], b[1]) - radius)); y <= last; y += 1) {
      const places = [...disc(a, radius, y + 0.5), ...disc(b, radius, y + 0.5), ...crossed(sides, y + 0.5)];
      if (places.length) this.span(y, Math.min(...places), Math.max(...places), value);
    }
  }
}

function disc([x, y], radius, row) {
  const half = radius ** 2 - (row - y) ** 2;
  return half < 0 ? [] : [x - Math.sqrt(half), x + Math.sqrt(half)];
}

/** Where the sides of a convex shape cross a row. */
function crossed(corners, row) {
  return corners.flatMap(([x0, y0], at) => {
    const [x1, y1] = corners[(at + 1) % corners.length];
    return y0 > row === y1 > row ? [] : [x0 + ((row - y0) * (x1 - x0)) / (y1 - y0)];
  });
}

/** The raster of a photo and what has been painted on it; at most 2048 pixels a side. */
export class Drawing {
  constructor(width, height) {
    const scale = Math.min(1, LONGEST / Math.max(width, height));
    this.raster = new Raster(Math.round(width * scale), Math.round(height * scale), scale);
    this.base = null;
    this.painted = [];
  }

  /** What lies under the edits: an imported mask's bytes at the raster's size. */
  start(base) {
    this.base = base;
    this.repaint([]);
  }

  /** Polygons of an earlier time as what lies under the edits. */
  startFrom(polygons) {
    const { width, height, scale } = this.raster;
    const made = new Raster(width, height, scale);
    for (const flat of polygons) made.polygon(flat, 1);
    this.start(made.data);
  }

  /** Bring the raster up to the list: only what is new is painted where the list has only grown. */
  show(list) {
    if (this.painted.length > list.length || this.painted.some((edit, at) => edit !== list[at])) return this.repaint(list);
    for (let at = this.painted.length; at < list.length; at += 1) paint(this.raster, list, at);
    this.painted = list;
    return undefined;
  }

  /** Paint everything anew, after an undo or when a reply came late. */
  repaint(list) {
    const { raster } = this;
    if (this.base) raster.data.set(this.base);
    else raster.data.fill(0);
    list.forEach((_, at) => paint(raster, list, at));
    raster.touch([0, 0, raster.width, raster.height]);
    this.painted = list;
  }

  /** The segmenter has answered an edit of the list. */
  answered(edit, list) {
    if (list === this.painted && list.at(-1) === edit) paint(this.raster, list, list.length - 1);
    else this.repaint(list);
  }

  /** A stroke that is under way; its points are painted as they come, and once more when it is in the list. */
  live(stroke) {
    const [from, to] = stroke.points.length > 1 ? stroke.points.slice(-2) : [stroke.points[0], stroke.points[0]];
    this.raster.brush(from, to, stroke.size, stroke.kind === "brush" ? 1 : 0);
  }

  /** What is drawn, as polygons in pixels of the photo (flat: x0, y0, x1, y1, ...), one per part. */
  outlines() {
    const { data, width, height, scale } = this.raster;
    const found = polygons(data, width, height, { least: 1, by: 0.8 });
    return found.map((corners) => corners.flat().map((value) => Number((value / scale).toFixed(2))));
  }
}

/** Do one edit of the list on the raster. */
function paint(raster, list, at) {
  const edit = list[at];
  const { kind, points, size } = edit;
  if (isPrompt(edit)) {
    if (edit.polygons) exchange(raster, proposal(list.slice(0, at)), edit.polygons);
  } else if (kind === "polygon") raster.polygon(points.flat(), edit.cut ? 0 : 1);
  else if (kind === "brush" || kind === "eraser")
    points.forEach((point, index) => raster.brush(points[Math.max(0, index - 1)], point, size, kind === "brush" ? 1 : 0));
  else {
    const { width, height, data } = raster;
    if (kind === "clear") data.fill(0);
    else data.set(kind === "holes" ? filled(data, width, height) : swept(data, width, height));
    raster.touch([0, 0, width, height]);
  }
}

/** The segmenter's newest reply in a list, [] before the first. */
export function proposal(list) {
  return since(list).findLast((edit) => isPrompt(edit) && edit.polygons)?.polygons ?? [];
}

/** The edits after the last time that everything was cleared. */
export const since = (list) => list.slice(list.findLastIndex((edit) => edit.kind === "clear") + 1);

/** Put a new reply in the place of the old: only where they differ, so that what was drawn by hand elsewhere stays. */
function exchange(raster, before, after) {
  const { width, height, scale, data } = raster;
  const [was, now] = [before, after].map((polygons) => {
    const made = new Raster(width, height, scale);
    for (const flat of polygons) made.polygon(flat, 1);
    return made;
  });
  for (const { dirty } of [was, now]) if (dirty) raster.touch(dirty);
  if (!raster.dirty) return;
  const [x0, y0, x1, y1] = raster.dirty;
  for (let y = y0; y < y1; y += 1)
    for (let at = y * width + x0; at < y * width + x1; at += 1) if (was.data[at] !== now.data[at]) data[at] = now.data[at];
}
