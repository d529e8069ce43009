// What select, compare and align share: getting the assignment, keeping its lease, the outbox, leaving it.

import * as api from "../api.js";
import { DESK } from "../keys.js";
import { Lease } from "../lease.js";
import { ESCALATE_REASONS, SKIP_REASONS, modelsOf, pageOf } from "../queue.js";
import { Tabs } from "../tabs.js";
import { t } from "../words.js";
import { clock } from "./clock.js";
import { hideInstructions, offerInstructions, toggleInstructions } from "./instructions.js";
import { reportProblem } from "./problem.js";
import { keptText, outbox } from "./session.js";
import { $, ask, bindBeside, complain, fields, fill, h, keyButton, toast, values } from "./ui.js";

export { clock };

const LOOK_AHEAD_MS = 400; // the object at hand is drawn first

export class Desk {
  /**
   * stage: of this page; open(assignment): shows it; prefetched(urls): meshes to load ahead;
   * keep(): stores unfinished work as a draft before the object is put aside.
   */
  constructor({ stage, open, prefetched = () => {}, keep = async () => {} }) {
    this.stage = stage;
    this.openAssignment = open;
    this.prefetched = prefetched;
    this.keep = keep;
    this.ahead = null;
    this.tabs = new Tabs({
      channel: new BroadcastChannel("maquette.desk"),
      onElsewhere: () => this.#elsewhere().catch(complain),
      onTaken: () => this.#taken(),
    });
    // An unfinished bracket keeps its lease over a reload; untouched work goes back to the others at once.
    window.addEventListener("pagehide", () => {
      if (!this.started && !this.shared) this.lease?.release();
      if (this.ahead) new Lease({ assignment: this.ahead, post: api.post, onLost() {} }).release();
    });
  }

  async start() {
    this.#drawTools();
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

  /** What every work page has beside its own buttons, in the page's head. */
  #drawTools() {
    const actions = {
      problem: () => this.reportProblem(),
      instructions: () => toggleInstructions(this.assignment.batch).catch(complain),
      postpone: () => this.postpone().catch(complain),
    };
    const labels = { instructions: t("Instructions"), problem: t("Report a problem"), postpone: t("Later…") };
    const act = (action) => (this.assignment ? void actions[action]() : undefined);
    fill($("#tools"), ...Object.entries(labels).map(([action, label]) => keyButton(DESK, action, label, () => act(action), { class: "plain" })));
    bindBeside(DESK, act);
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
    this.tabs.show(null);
    hideInstructions();
    this.veil(t("Looking for the next object…"));
    const found = await api.post("next/", wish).catch((problem) => {
      if (problem.code !== "practice_first") throw problem;
      window.location.assign("/practice/");
      return undefined;
    });
    if (found === undefined) return;
    if (!found && wish.stage) {
      this.veil(t("No object waits here right now.")).append(" ", h("a", { href: "/" }, t("Look for other work")));
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
    this.shared = false;
    this.tabs.show(assignment.id);
    const { pathname, search } = window.location;
    if (pathname + search !== pageOf(assignment)) window.history.replaceState(null, "", pageOf(assignment));
    this.lease?.end();
    this.lease = new Lease({ assignment, post: api.post, onLost: () => this.lost(), visible: () => !document.hidden });
    offerInstructions(assignment.batch).catch(complain);
    const about = $("#about");
    const words = [assignment.object.category || t("object"), assignment.batch.name];
    if (assignment.note) words.push(t("returned: {note}", { note: assignment.note }));
    if (about) about.textContent = words.join(" · ");
    clock.take();
    try {
      await this.openAssignment(assignment);
      this.veil(null);
      setTimeout(() => this.assignment === assignment && !this.shared && this.lookAhead(), LOOK_AHEAD_MS);
    } catch (problem) {
      complain(problem);
      this.#offerRetry(problem);
    }
  }

  #offerRetry(problem) {
    const text = this.veil(problem.message);
    text?.append(
      h("br"),
      h("button", { type: "button", onclick: () => this.#show(this.assignment) }, t("Try again")),
      " ",
      h("button", { type: "button", onclick: () => this.skip() }, t("Skip this object")),
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
      t("This object is no longer yours"),
      t("Its lease ran out or another tab has it. Answers that were stored stay stored; the unfinished one is kept as a draft."),
      [
        ["again", t("Try to take it back"), "primary"],
        ["next", t("Go to the next object")],
      ],
    );
    this.losing = false;
    if (choice === "again") {
      const own = await this.#own(this.assignment.id).catch(complain);
      if (own) return this.#show(own);
      toast(t("It was handed to somebody else, or the queue offers something else first."));
    }
    await this.next().catch(complain);
  }

  /** The same assignment is open in another tab of this browser: one of them goes on. */
  async #elsewhere() {
    if (this.shared) return;
    this.shared = true;
    const choice = await ask(
      t("This object is open in another tab"),
      t("Work on it in one tab only, so that no answer is given twice."),
      [
        ["here", t("Work here"), "primary"],
        [null, t("Go back")],
      ],
    );
    if (choice !== "here") {
      this.ahead = null;
      this.tabs.show(null);
      window.location.assign("/?stay");
      return;
    }
    this.tabs.take(this.assignment.id);
    const own = await this.#own(this.assignment.id);
    if (own) await this.#show(own);
    else await this.lost();
  }

  /** The person goes on in another tab: this one lets go without giving anything back. */
  #taken() {
    this.lease?.end();
    this.shared = true;
    this.ahead = null;
    hideInstructions();
    this.veil(t("You go on with this object in another tab."))?.append(
      h("br"),
      h("button", { type: "button", onclick: () => this.#takeBack().catch(complain) }, t("Work here")),
    );
  }

  async #takeBack() {
    const own = await this.#own(this.assignment.id);
    if (!own) return this.next();
    this.tabs.take(own.id);
    return this.#show(own);
  }

  async skip() {
    const form = h("form", {}, ...fields([{ name: "reason", label: t("Why?"), type: "select", options: SKIP_REASONS.map((reason) => [reason, t(reason)]) }]));
    const options = [["skip", t("Skip it"), "primary"], [null, t("Stay")]];
    if ((await ask(t("Skip this object"), t("It will not be shown to you again."), options, [form])) !== "skip") return;
    await this.leave("skip", values(form));
  }

  async escalate() {
    const form = h(
      "form",
      {},
      ...fields([
        { name: "reason", label: t("What makes it hard?"), type: "select", options: ESCALATE_REASONS.map((reason) => [reason, t(reason)]) },
        { name: "note", label: t("Note for the artist"), type: "textarea", maxlength: 2000 },
      ]),
    );
    if ((await ask(t("Hand to the artists"), t("No candidate can do."), [["go", t("Hand it on"), "primary"], [null, t("Stay")]], [form])) !== "go") return;
    await this.leave("escalate", values(form));
  }

  /** Put the object aside: others may take it meanwhile, else it is found on the first page as it was left. */
  async postpone() {
    const form = h("form", {}, ...fields([{ name: "reason", label: t("Note to yourself (optional)"), maxlength: 60 }]));
    const text = t("You find it again on the first page, as you leave it now.");
    if ((await ask(t("Put this object aside"), text, [["later", t("Later"), "primary"], [null, t("Stay")]], [form])) !== "later") return;
    await this.keep();
    await this.leave("postpone", values(form));
  }

  /** Tell those who run the batch what is wrong with the object. `place`: x, y in pixels of the photo. */
  reportProblem(place = null) {
    const { object, batch, stage } = this.assignment;
    return reportProblem({ object: object.id, batch: batch.id, stage, place });
  }

  async leave(verb, body) {
    const kept = await this.#undelivered();
    // Given back now, the object would lose the answers that the server has not got yet.
    if (kept) return toast(keptText(kept), "bad");
    try {
      await api.post(`assignments/${this.assignment.id}/${verb}/`, { fence: this.assignment.fence, ...body });
    } catch (problem) {
      if (problem.code !== "lease_lost") return complain(problem);
    }
    this.started = true;
    await this.next().catch(complain);
  }

  /** How many answers to this object the server has not got yet, after one more try. */
  async #undelivered() {
    await outbox.flush();
    const kept = await outbox.entries().catch(() => []);
    return kept.filter(({ path }) => path.startsWith(`assignments/${this.assignment.id}/`)).length;
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
