// What select, compare and align share: getting the assignment, keeping its lease, the outbox, leaving it.

import { ActiveClock } from "../active.js";
import * as api from "../api.js";
import { Lease } from "../lease.js";
import { Outbox } from "../outbox.js";
import { ESCALATE_REASONS, SKIP_REASONS, modelsOf, pageOf } from "../queue.js";
import { $, ask, complain, fields, h, me, status, toast, values } from "./ui.js";

export const clock = new ActiveClock();
for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"])
  document.addEventListener(kind, () => clock.touch(), { passive: true });
document.addEventListener("visibilitychange", () => clock.show(!document.hidden));

export const outbox = new Outbox({
  storage: window.localStorage,
  name: me.name,
  send: api.post,
  onChange(waiting, problem) {
    if (!waiting) status("");
    else if (problem?.status === 401) status("Logged out: log in again in another tab; the answer is kept here.");
    else if (problem) status(`${waiting} answer${waiting > 1 ? "s" : ""} kept here, waiting for the server`);
  },
});

export class Desk {
  /** stage: of this page; open(assignment): shows it; prefetched(urls): meshes to load ahead. */
  constructor({ stage, open, prefetched = () => {} }) {
    this.stage = stage;
    this.openAssignment = open;
    this.prefetched = prefetched;
    this.ahead = null;
    // An unfinished bracket keeps its lease over a reload; untouched work goes back to the others at once.
    window.addEventListener("pagehide", () => {
      if (!this.started) this.lease?.release();
      if (this.ahead) new Lease({ assignment: this.ahead, post: api.post, onLost() {} }).release();
    });
  }

  async start() {
    await outbox.flush();
    const wanted = new URLSearchParams(window.location.search).get("assignment");
    try {
      const given = wanted ? await this.#own(wanted) : null;
      if (given) await this.#show(given);
      else await this.#take({ stage: this.stage });
    } catch (problem) {
      this.veil(problem.message);
      complain(problem);
    }
  }

  async #own(id) {
    try {
      const found = await api.get(`assignments/${id}/`);
      return found.state === "leased" && found.stage === this.stage ? found : null;
    } catch (problem) {
      if (problem.status === 404) return null;
      throw problem;
    }
  }

  /** The next work of any stage: shown here when it is of this one, on its own page else. */
  next() {
    return this.#take({});
  }

  async #take(wish) {
    this.lease?.end();
    this.lease = null;
    this.ahead = null;
    this.veil("Looking for the next object…");
    const found = await api.post("next/", wish);
    if (!found && wish.stage) {
      this.veil("No object waits here right now. ").append(h("a", { href: "/" }, "Look for other work"));
      return;
    }
    if (!found) {
      window.location.assign("/");
      return;
    }
    if (found.stage !== this.stage) {
      window.location.assign(pageOf(found));
      return;
    }
    await this.#show(found);
  }

  async #show(assignment) {
    this.assignment = assignment;
    this.started = false;
    const { pathname, search } = window.location;
    if (pathname + search !== pageOf(assignment)) window.history.replaceState(null, "", pageOf(assignment));
    this.lease?.end();
    this.lease = new Lease({ assignment, post: api.post, onLost: () => this.lost(), visible: () => !document.hidden });
    const instructions = $("#instructions");
    if (instructions) {
      instructions.hidden = !assignment.batch.instructions;
      $("p", instructions).textContent = assignment.batch.instructions;
    }
    const about = $("#about");
    const note = assignment.note ? ` · returned: ${assignment.note}` : "";
    if (about) about.textContent = `${assignment.object.category || "object"} · ${assignment.batch.name}${note}`;
    clock.take();
    try {
      await this.openAssignment(assignment);
      this.veil(null);
      this.lookAhead();
    } catch (problem) {
      complain(problem);
      this.#offerRetry(problem);
    }
  }

  #offerRetry(problem) {
    const text = this.veil(problem.message);
    text?.append(
      h("br"),
      h("button", { type: "button", onclick: () => this.#show(this.assignment) }, "Try again"),
      " ",
      h("button", { type: "button", onclick: () => this.skip() }, "Skip this object"),
    );
  }

  /** Lease the object after this one and load its meshes while the person works. */
  async lookAhead() {
    try {
      this.ahead = await api.post("next/", { prefetch: true, batch: this.assignment.batch.id });
      if (this.ahead) this.prefetched(modelsOf(this.ahead));
    } catch (problem) {
      if (problem.status) console.info("no prefetch:", problem.message);
    }
  }

  /** Store an answer under its own key; resolves with the reply. A lost lease becomes a clear choice, then null. */
  async answer(verb, body) {
    this.started = true;
    const path = `assignments/${this.assignment.id}/${verb}/`;
    try {
      return await outbox.add(path, { fence: this.assignment.fence, key: crypto.randomUUID(), active_ms: clock.take(), ...body });
    } catch (problem) {
      if (problem.code === "lease_lost") {
        await this.lost();
        return null;
      }
      throw problem;
    }
  }

  /** Another tab or person has this work, or the lease ran out: the person decides. */
  async lost() {
    if (this.losing) return;
    this.losing = true;
    this.lease?.end();
    const choice = await ask(
      "This object is no longer yours",
      "Its lease ran out or another tab has it. Answers that were stored stay stored; the unfinished one is kept as a draft.",
      [
        ["again", "Try to take it back", "primary"],
        ["next", "Go to the next object"],
      ],
    );
    this.losing = false;
    if (choice === "again") {
      const own = await this.#own(this.assignment.id).catch(complain);
      if (own) return this.#show(own);
      toast("It was handed to somebody else, or the queue offers something else first.");
    }
    await this.next().catch(complain);
  }

  async skip() {
    const form = h("form", {}, ...fields([{ name: "reason", label: "Why?", type: "select", options: SKIP_REASONS.map((reason) => [reason, reason]) }]));
    if ((await ask("Skip this object", "It will not be shown to you again.", [["skip", "Skip it", "primary"], [null, "Stay"]], [form])) !== "skip") return;
    await this.leave("skip", values(form));
  }

  async escalate() {
    const form = h(
      "form",
      {},
      ...fields([
        { name: "reason", label: "What makes it hard?", type: "select", options: ESCALATE_REASONS.map((reason) => [reason, reason]) },
        { name: "note", label: "Note for the artist", type: "textarea", maxlength: 2000 },
      ]),
    );
    if ((await ask("Hand to the artists", "No candidate can do.", [["go", "Hand it on", "primary"], [null, "Stay"]], [form])) !== "go") return;
    await this.leave("escalate", values(form));
  }

  async leave(verb, body) {
    try {
      await api.post(`assignments/${this.assignment.id}/${verb}/`, { fence: this.assignment.fence, ...body });
    } catch (problem) {
      if (problem.code !== "lease_lost") return complain(problem);
    }
    this.started = true;
    await this.next().catch(complain);
  }

  /** Cover the view with a message, or uncover it with null. */
  veil(message) {
    const veil = $("#veil");
    if (!veil) return null;
    veil.hidden = message === null;
    const text = $("#veil-text");
    text.textContent = message ?? "";
    return text;
  }
}
