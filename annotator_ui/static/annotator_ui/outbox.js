// Answers on their way: each is stored on this machine under its key before it is sent, and stays until the server
// has acknowledged it. A page that was closed leaves what is left to the next one; one tab sends at a time.

const WAITS_MS = [1000, 2000, 5000, 10_000, 30_000];

export class Outbox {
  /**
   * store: a Store or its like; user: whose answers; send(path, body): resolves on 2xx, else throws {status, code, message}.
   * alone(work): runs work while no other tab of this browser sends. old: localStorage, where answers lay before.
   */
  constructor({ store, user, send, alone = (work) => work(), old = null, onChange = () => {}, later = (call, ms) => setTimeout(call, ms) }) {
    Object.assign(this, { store, user, send, alone, old, onChange, later });
    this.waiting = new Map();
    this.failures = 0;
    this.working = null;
    this.again = false;
  }

  /** Answers not yet acknowledged, oldest first. */
  entries() {
    return this.store.all("waiting", this.user);
  }

  /** Answers that the server refused after their page had gone, with its words. */
  undelivered() {
    return this.store.all("refused", this.user);
  }

  /** The person has read it. */
  dismiss(id) {
    return this.store.remove("refused", id);
  }

  /** Keep an answer and send it. Resolves with the server's reply, rejects only when the server refused it. */
  async add(path, body) {
    const entry = { user: this.user, path, body, key: body.key, at: new Date().toISOString() };
    try {
      await this.store.add("waiting", entry);
    } catch (problem) {
      // A full or forbidden disk must not stop the work: then the answer lives in this page alone.
      console.error("the answer could not be kept on this machine:", problem);
    }
    const reply = new Promise((resolve, reject) => this.waiting.set(body.key, { entry, resolve, reject }));
    this.flush();
    return reply;
  }

  /** Send everything that is left, in order. Never rejects. */
  flush() {
    this.again = Boolean(this.working);
    this.working ||= this.#run().finally(() => {
      this.working = null;
    });
    return this.working;
  }

  async #run() {
    do {
      this.again = false;
      await this.alone(() => this.#drain()).catch((problem) => console.error("outbox:", problem));
    } while (this.again);
  }

  async #drain() {
    await this.#migrate();
    for (let entry = await this.#next(); entry; entry = await this.#next()) {
      try {
        const reply = await this.send(entry.path, entry.body);
        this.failures = 0;
        if (entry.id !== undefined) await this.store.remove("waiting", entry.id);
        this.#settle(entry.key, "resolve", reply);
      } catch (problem) {
        if (isPassing(problem)) return this.#retry(problem);
        await this.#refused(entry, problem);
      }
    }
    this.onChange(0);
  }

  /** The oldest kept answer; else one that waits here though it is kept no more: another tab has sent it, and its reply is asked for again. */
  async #next() {
    const [oldest] = await this.entries().catch(() => []);
    return oldest ?? this.waiting.values().next().value?.entry;
  }

  /** Who waits for the answer hears it; what nobody waits for any more goes to the list on the first page. */
  async #refused(entry, problem) {
    if (this.waiting.has(entry.key)) {
      if (entry.id !== undefined) await this.store.remove("waiting", entry.id);
      this.#settle(entry.key, "reject", problem);
    } else {
      await this.store.refuse(entry, problem);
    }
  }

  async #retry(problem) {
    const wait = WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)];
    this.failures += 1;
    const kept = await this.entries().catch(() => []);
    this.onChange(Math.max(kept.length, this.waiting.size), problem);
    this.later(() => this.flush(), wait);
  }

  /** Once: what an earlier version of the pages left in localStorage. */
  async #migrate() {
    const name = `maquette.outbox.${this.user}`;
    const left = this.old?.getItem(name);
    if (!left) return;
    try {
      for (const { path, body, key } of JSON.parse(left)) await this.store.add("waiting", { user: this.user, path, body, key, at: new Date().toISOString() });
      this.old.removeItem(name);
    } catch (problem) {
      console.error("older answers stay where they are:", problem);
    }
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
