// Pointers on the Select page's canvas: one finger, pen or the mouse works with the tool, two fingers zoom and pan.

const STILL_PX = 6; // a pointer that moves less has clicked

export class Pointers {
  /**
   * tool: {down(at), drag(at, start), up(at, start, {negative, still}), cancel(), hover(at or null)}, places in pixels of
   * the canvas; view: {pan([dx, dy]), zoom(factor, at)}; mayWork(): whether an object is there.
   */
  constructor(canvas, { tool, view, mayWork }) {
    Object.assign(this, { canvas, tool, view, mayWork });
    this.held = new Map();
    this.gesture = null;
    this.isPanning = false;
    for (const name of ["down", "move", "up", "cancel", "leave"]) canvas.addEventListener(`pointer${name}`, (event) => this[name](event));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  #at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  }

  down(event) {
    if (!this.mayWork() || event.button > 2) return undefined;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.held.set(event.pointerId, at);
    if (this.held.size > 1) return this.#pinch();
    const pans = this.isPanning || event.button === 1;
    if (pans) event.preventDefault();
    this.gesture = { pans, start: at, last: at, still: true, negative: event.button === 2 || event.altKey };
    if (!pans) this.tool.down(at, this.gesture);
    return undefined;
  }

  /** A second finger: what the first has begun was no work. */
  #pinch() {
    if (this.gesture && !this.gesture.pans) this.tool.cancel();
    this.gesture = { pans: true, pinched: true };
  }

  move(event) {
    const at = this.#at(event);
    if (!this.held.has(event.pointerId)) return this.tool.hover(at);
    const before = [...this.held.values()];
    this.held.set(event.pointerId, at);
    const { gesture } = this;
    if (this.held.size > 1) return this.#spread(before.slice(0, 2), [...this.held.values()].slice(0, 2));
    if (!gesture || gesture.pinched) return undefined;
    if (gesture.pans) this.view.pan([at[0] - gesture.last[0], at[1] - gesture.last[1]]);
    else {
      gesture.still &&= Math.hypot(at[0] - gesture.start[0], at[1] - gesture.start[1]) < STILL_PX;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.tool.drag(this.#at(each), gesture);
    }
    gesture.last = at;
    return undefined;
  }

  #spread(before, after) {
    const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1;
    const [from, to] = [middle(before), middle(after)];
    this.view.pan([to[0] - from[0], to[1] - from[1]]);
    this.view.zoom(apart(after) / apart(before), to);
  }

  up(event) {
    if (!this.held.delete(event.pointerId) || this.held.size) return;
    const { gesture } = this;
    this.gesture = null;
    if (gesture && !gesture.pans) this.tool.up(this.#at(event), gesture);
    if (event.pointerType === "touch") this.tool.hover(null);
  }

  cancel(event) {
    this.held.delete(event.pointerId);
    if (this.gesture && !this.gesture.pans) this.tool.cancel();
    if (!this.held.size) this.gesture = null;
  }

  leave() {
    if (!this.held.size) this.tool.hover(null);
  }

  wheel(event) {
    if (!this.mayWork()) return;
    event.preventDefault();
    this.view.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)), this.#at(event));
  }
}
