// Keeps a lease alive while the page is seen, and says when it was lost.

export const HEARTBEAT_MS = 60_000;

const startTimer = (call, ms) => setInterval(call, ms);
const stopTimer = (timer) => clearInterval(timer);

export class Lease {
  /** post(path, body) sends; onLost(error) is called once, when the server says that the lease is gone. */
  // Browsers refuse timers that are called as methods of another object, hence the plain functions.
  constructor({ assignment, post, onLost, visible = () => true, every = startTimer, cancel = stopTimer }) {
    this.assignment = assignment;
    this.post = post;
    this.onLost = onLost;
    this.visible = visible;
    this.cancel = cancel;
    this.ended = false;
    this.timer = every(() => this.beat(), HEARTBEAT_MS);
  }

  async beat() {
    if (this.ended || !this.visible()) return;
    try {
      await this.post(`assignments/${this.assignment.id}/heartbeat/`, { fence: this.assignment.fence });
    } catch (problem) {
      if (problem.code === "lease_lost" && !this.ended) {
        this.end();
        this.onLost(problem);
      }
    }
  }

  /** No more heartbeats: the work was submitted, given back or lost. */
  end() {
    this.ended = true;
    this.cancel(this.timer);
  }

  /** Give the lease back while the page closes; nobody waits for the reply. */
  release() {
    if (this.ended) return;
    this.end();
    this.post(`assignments/${this.assignment.id}/release/`, { fence: this.assignment.fence }, { keepalive: true }).catch(
      () => {},
    );
  }
}
