// Answers on their way: each is stored on this machine under its key before it is sent, and stays until the server
// has acknowledged it. A page that was closed sends what is left when it is opened again.

const WAITS_MS = [1000, 2000, 5000, 10_000, 30_000];

export class Outbox {
  /** storage: localStorage or its like; send(path, body): resolves on 2xx, else throws {status, code, message}. */
  constructor({ storage, name, send, onChange = () => {}, later = (call, ms) => setTimeout(call, ms) }) {
    this.storage = storage;
    this.name = `maquette.outbox.${name}`;
    this.send = send;
    this.onChange = onChange;
    this.later = later;
    this.waiting = new Map();
    this.failures = 0;
    this.working = null;
  }

  /** Entries not yet acknowledged, oldest first. */
  entries() {
    try {
      return JSON.parse(this.storage.getItem(this.name)) || [];
    } catch {
      return [];
    }
  }

  #write(entries) {
    this.storage.setItem(this.name, JSON.stringify(entries));
    this.onChange(entries.length);
  }

  #drop(key) {
    this.#write(this.entries().filter((entry) => entry.key !== key));
  }

  /** Keep an answer and send it. Resolves with the server's reply, rejects only when the server refused it. */
  add(path, body) {
    this.#write([...this.entries(), { path, body, key: body.key }]);
    const reply = new Promise((resolve, reject) => this.waiting.set(body.key, { resolve, reject }));
    this.flush();
    return reply;
  }

  /** Send everything that is left, in order; one sender at a time. Never rejects. */
  flush() {
    this.working ||= this.#drain().finally(() => {
      this.working = null;
    });
    return this.working;
  }

  async #drain() {
    for (let entry = this.entries()[0]; entry; entry = this.entries()[0]) {
      try {
        const reply = await this.send(entry.path, entry.body);
        this.failures = 0;
        this.#drop(entry.key);
        this.#settle(entry.key, "resolve", reply);
      } catch (problem) {
        if (isPassing(problem)) {
          this.#retry(problem);
          return;
        }
        this.#drop(entry.key);
        this.#settle(entry.key, "reject", problem);
      }
    }
    this.onChange(0);
  }

  #retry(problem) {
    const wait = WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)];
    this.failures += 1;
    this.onChange(this.entries().length, problem);
    this.later(() => this.flush(), wait);
  }

  #settle(key, how, value) {
    this.waiting.get(key)?.[how](value);
    this.waiting.delete(key);
  }
}

/** Whether a refusal can pass by itself: no network, a broken server, or a login that ended. */
export function isPassing(problem) {
  const status = problem.status ?? 0;
  return status === 0 || status === 401 || status === 408 || status === 429 || status >= 500 ||
    (status === 403 && problem.code === "not_authenticated");
}
