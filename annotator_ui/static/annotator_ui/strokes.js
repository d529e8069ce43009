// The mask being drawn in the Select page: a list of strokes, and what they leave when drawn in order.
// Pure data; the page draws it. Undo removes a stroke from the list.

import { change } from "./history.js";

/** Strokes: {kind: "polygon", points} fills; {kind: "brush" | "eraser", points, size} paints or wipes. */
export class Strokes {
  constructor(history, onChange = () => {}) {
    this.list = [];
    this.history = history;
    this.onChange = onChange;
  }

  /** Add a stroke as one undo step; one without extent is left out. */
  add(stroke) {
    if (stroke.kind === "polygon" && stroke.points.length < 3) return false;
    if (!stroke.points.length) return false;
    this.#set([...this.list, stroke], stroke.kind);
    return true;
  }

  clear() {
    if (this.list.length) this.#set([], "clear");
  }

  #set(after, label) {
    const set = (list) => {
      this.list = list;
      this.onChange();
    };
    this.history.run(change(label, set, this.list, after));
  }
}

/** Draw strokes on a 2D context at its own scale; afterwards it is opaque where the mask is. */
export function paint(context, strokes) {
  for (const { kind, points, size } of strokes) {
    context.globalCompositeOperation = kind === "eraser" ? "destination-out" : "source-over";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = size || 1;
    context.beginPath();
    points.forEach(([x, y], at) => (at ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (kind === "polygon") {
      context.closePath();
      context.fill();
    } else {
      if (points.length === 1) context.lineTo(points[0][0] + 0.01, points[0][1]);
      context.stroke();
    }
  }
  context.globalCompositeOperation = "source-over";
}
