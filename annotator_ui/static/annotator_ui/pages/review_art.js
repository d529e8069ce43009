// Artists' meshes under review: the list, and one submission in the photo, on the turntable, with its report and pins.

import * as api from "../api.js";
import { number, when, words } from "../format.js";
import { ART_REVIEW } from "../keys.js";
import { t } from "../words.js";
import { named } from "./names.js";
import { PhotoStage, truthOf } from "./photo_stage.js";
import { askRemark } from "./pin_list.js";
import { $, ask, busy, complain, facts, fields, fill, h, keyButton, listKeys, me, table, toast, values } from "./ui.js";
import { Versions } from "./versions.js";

const title = ({ task: { object } }) => `${object.category || t("object")} ${object.id}`;

/** The artists' tab. It takes all keys of the page (`fixes`) by its own table. */
export class ReviewArt {
  /** list, work: the page's two sections; about({object, batch, stage} or null) tells what is on screen. */
  constructor(list, work, about) {
    Object.assign(this, { list, work, about, fixes: true, table: ART_REVIEW, rows: [], at: -1 });
  }

  /** List what waits and open the mesh at a place, or the last one before it. */
  async open(at = 0) {
    this.rows = await api.all("submissions/?state=in_review", 200);
    this.#drawList();
    await this.#openRow(Math.min(at, this.rows.length - 1));
  }

  #drawList() {
    const open = (row) => h("button", { type: "button", class: "plain", translate: "no", "data-row": row.id, onclick: () => this.#openRow(this.rows.indexOf(row)).catch(complain) }, title(row));
    const columns = [[t("Object"), open], [t("Version"), (row) => row.version], [t("By"), (row) => named(row.artist)], [t("Sent"), (row) => when(row.created_at)]];
    fill(this.list, table(t("Artists' meshes"), columns, this.rows, t("Nothing waits for review.")));
    for (const button of this.list.querySelectorAll("[data-row]")) {
      const here = button.dataset.row === String(this.rows[this.at]?.id);
      button.closest("tr").classList.toggle("here", here);
      if (here) button.setAttribute("aria-current", "true");
    }
  }

  async #openRow(at) {
    if (at < 0 || at >= this.rows.length) return;
    this.#close();
    this.at = at;
    this.#drawList();
    const row = this.rows[at];
    const found = await api.get(`submissions/${row.id}/`);
    if (this.gone || this.rows[this.at] !== row) return;
    this.found = found;
    this.about({ object: found.object.id, batch: found.task.batch.id, stage: "art" });
    const [photo, versions] = [h("div", {}), h("div", { class: "versions" })];
    fill(
      this.work,
      h("h2", { translate: "no" }, title(found)),
      this.#facts(),
      h("h3", {}, t("In the photo")),
      photo,
      versions,
      this.#verdicts(),
      h("details", { class: "keys" }, h("summary", {}, t("Keys")), h("dl", { id: "keys", tabindex: 0 })),
    );
    this.work.hidden = false;
    listKeys(ART_REVIEW, $("#keys"));
    this.stage = new PhotoStage(photo, ART_REVIEW);
    this.versions = new Versions(versions, {
      keys: ART_REVIEW,
      pins: { onPick: (point) => this.#pin(point).catch(complain), of: (each) => [...each.pins, ...this.#drafts(each.id)], onAnswer: (point, text) => this.#draft(point, text), onRemove: (pin) => this.#remove(pin) },
      onOpened: (each, geometry) => this.stage?.object && this.stage.show(geometry, each.pose),
    });
    const truth = await truthOf(found.object);
    if (this.gone || this.found !== found) return;
    this.stage.setPhoto(found.object, truth);
    await this.versions.show(found.versions, found.id);
  }

  #facts() {
    const { artist, version, task, why } = this.found;
    return facts([
      [t("By"), named(artist)],
      [t("Version"), version],
      [t("Batch"), named(task.batch.name)],
      [t("What made it hard"), task.reason ? words(task.reason) : "–"],
      [t("Best rating before"), why.best_r === null ? "–" : t("{best} (bar {bar})", { best: number(why.best_r), bar: number(why.alpha) })],
    ]);
  }

  #verdicts() {
    const button = (action, label, properties = {}) => keyButton(ART_REVIEW, action, label, () => this.act(action), properties);
    return h(
      "div",
      { class: "row verdicts" },
      button("accept", t("Approve"), { class: "primary" }),
      button("return", t("Send back…")),
      button("previous", t("Previous"), { disabled: this.at <= 0 }),
      button("next", t("Next"), { disabled: this.at >= this.rows.length - 1 }),
    );
  }

  // Remarks wait on this machine until the verdict, so that they can be taken back; each has the key it is sent with.
  #place(id) {
    return `maquette.pins.${me.id}.${id}`;
  }

  #drafts(id) {
    return JSON.parse(window.localStorage.getItem(this.#place(id)) ?? "[]").map((pin) => ({ ...pin, draft: true }));
  }

  #keep(id, drafts) {
    if (drafts.length) window.localStorage.setItem(this.#place(id), JSON.stringify(drafts.map(({ key, point, text }) => ({ key, point, text }))));
    else window.localStorage.removeItem(this.#place(id));
    this.versions.drawPins();
  }

  async #pin(point) {
    const text = await askRemark(t("Pin a remark to this point"));
    if (text) this.#draft(point, text);
  }

  /** A remark on the version under review waits for the verdict; on an older one it goes at once. */
  async #draft(point, text) {
    const { id } = this.versions.found;
    const pin = { key: crypto.randomUUID(), point, text };
    if (id === this.found.id) return this.#keep(id, [...this.#drafts(id), pin]);
    await this.#send(id, pin);
    return this.versions.refresh();
  }

  #remove({ key }) {
    const { id } = this.found;
    this.#keep(id, this.#drafts(id).filter((pin) => pin.key !== key));
  }

  #send(id, { key, point, text }) {
    return api.post(`submissions/${id}/pins/`, { key, text, ...(point ? { point } : {}) });
  }

  async #approve() {
    const { id } = this.found;
    for (const pin of this.#drafts(id)) await this.#send(id, pin);
    await this.#judge({ verdict: "approve" });
  }

  async #sendBack() {
    const { id } = this.found;
    const drafts = this.#drafts(id);
    const form = h("form", { class: "form" }, ...fields([{ name: "note", label: t("What is to be done again?"), type: "textarea", maxlength: 2000, required: true }]));
    const text = drafts.length ? t("Pinned remarks that go with it: {count}.", { count: drafts.length }) : t("Pin remarks to the mesh to show where.");
    if ((await ask(t("Send back"), text, [["send", t("Send back"), "primary"], [null, t("Cancel")]], [form])) !== "send") return;
    const { note } = values(form);
    if (!note.trim()) toast(t("Say what is to be done again."), "bad");
    else await this.#judge({ verdict: "return", note, pins: drafts.map(({ point, text: said }) => ({ point, text: said })) });
  }

  async #judge(body) {
    const { id } = this.found;
    try {
      await api.post(`submissions/${id}/verdict/`, body);
      toast(t("Verdict stored."));
    } catch (problem) {
      if (problem.code !== "not_in_review") throw problem;
      toast(t("Somebody else has judged this mesh, or a newer version came."), "bad");
    }
    this.#keep(id, []);
    const place = this.at;
    this.#close();
    await this.open(place);
  }

  act(action) {
    const actions = { next: () => this.#openRow(this.at + 1), previous: () => this.#openRow(this.at - 1), accept: () => this.#approve(), return: () => this.#sendBack() };
    if (!this.versions) return;
    if (action in actions) busy($(`#work [data-action=${action}]`), actions[action]);
    else if (!this.stage.act(action)) this.versions.mesh.act(action);
  }

  #close() {
    this.stage?.dispose();
    this.versions?.dispose();
    this.stage = this.versions = this.found = null;
    this.at = -1;
    this.about(null);
    this.work.hidden = true;
    fill(this.work);
  }

  dispose() {
    this.gone = true;
    this.#close();
  }
}
