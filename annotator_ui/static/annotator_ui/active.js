// Active time of one step: what passes between signs of activity counts, a pause longer than the cut does not.

export const IDLE_CUT_MS = 60_000;

export class ActiveClock {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.total = 0;
    this.last = now();
    this.visible = true;
  }

  /** A sign of activity: a key, a pointer, a wheel. */
  touch() {
    const at = this.now();
    if (this.visible && at - this.last <= IDLE_CUT_MS) this.total += at - this.last;
    this.last = at;
  }

  /** The page was hidden or shown. */
  show(visible) {
    if (this.visible) this.touch();
    this.visible = visible;
    this.last = this.now();
  }

  /** Active milliseconds since the last call; starts anew. */
  take() {
    this.touch();
    const total = Math.round(this.total);
    this.total = 0;
    return total;
  }
}
