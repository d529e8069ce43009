// The versions of an artist's mesh: one of them with its report, its mesh and the remarks on it; two of them compared.

import * as api from "../api.js";
import { FIXES } from "../findings.js";
import { when, words } from "../format.js";
import { t } from "../words.js";
import { MeshView } from "./mesh_view.js";
import { drawPins, markersOf } from "./pin_list.js";
import { figuresOf, report } from "./report.js";
import { $, complain, fill, h, jobLine, stateOf, table, watchJob } from "./ui.js";

const WATCH_MS = 500;
const REPLACED = /^replaced by version (\d+)$/; // the server's own note, not a reviewer's

function noteOf(note) {
  const [, version] = note.match(REPLACED) ?? [];
  return version ? t("Replaced by version {version}.", { version }) : t("Reviewer: {note}", { note });
}

export class Versions {
  /**
   * keys: the page's table. pins: {onPick(point), of(found), onAnswer(point, text), onRemove(pin)} as drawPins takes them;
   * of(found) gives a version's pins with those that wait. onRepair(found, codes, button) or null; onOpened(found, geometry)
   * once its mesh is on screen; onChecked() when a check has ended.
   */
  constructor(holder, { keys, pins, onRepair = null, onOpened = () => {}, onChecked = () => {} }) {
    Object.assign(this, { keys, pins, onRepair, onOpened, onChecked, fetched: new Map(), found: null });
    this.tabs = h("div", { class: "row", role: "group", "aria-label": t("Versions") });
    [this.about, this.findings, this.remarks, this.compared] = ["about", "", "remarks", "other-version"].map((name) => h("div", { class: name }));
    const mesh = h("div", {});
    this.beside = h("div", { class: "sides" }, h("div", {}, mesh, this.remarks), this.findings);
    fill(holder, this.tabs, this.about, this.beside, this.compared);
    this.mesh = new MeshView(mesh, { keys, onPick: pins.onPick, onPin: (number) => $(`.thread[data-number="${number}"]`, this.remarks)?.scrollIntoView({ block: "nearest" }) });
  }

  /** rows: versions as the API lists them, oldest first; `wanted`: the id of the one to open, else the newest. */
  async show(rows, wanted = rows.at(-1)?.id) {
    this.rows = rows;
    this.fetched.clear(); // a new version changes what is said of the older ones
    this.beside.hidden = !rows.length;
    if (rows.length) await this.open(wanted);
    else fill(this.tabs, h("p", { class: "muted" }, t("No version has been sent yet.")));
  }

  #get(id) {
    if (!this.fetched.has(id)) {
      const coming = api.get(`submissions/${id}/`);
      coming.then((found) => found.state === "checking" && this.fetched.delete(id)).catch(() => this.fetched.delete(id));
      this.fetched.set(id, coming);
    }
    return this.fetched.get(id);
  }

  /** Fetch what is on screen anew. */
  async refresh() {
    this.fetched.delete(this.found.id);
    await this.open(this.found.id);
  }

  async open(id) {
    this.wanted = id;
    this.#drawTabs();
    const found = await this.#get(id);
    if (this.gone || this.wanted !== id) return;
    this.found = found;
    // The check may have ended since the list was fetched.
    this.rows.find((row) => row.id === id).state = found.state;
    this.#drawTabs();
    this.#drawAbout();
    this.drawPins();
    await this.#drawCompared();
    fill(this.findings, found.report ? report(found.report, this.#actions()) : h("p", { class: "muted" }, found.job?.error ?? ""));
    if (found.state === "checking" && found.job) this.#watch(found).catch(complain);
    this.mesh.canvas.closest(".bench").parentElement.hidden = !found.model_url;
    if (!found.model_url || this.mesh.url === found.model_url) return;
    const geometry = await this.mesh.open(found.model_url);
    if (geometry) this.onOpened(found, geometry);
  }

  #actions() {
    const { found } = this;
    return {
      onPoints: found.model_url ? (points) => this.mesh.showPoints(points) : null,
      onRepair: this.onRepair && found.state !== "checking" ? (codes, button) => this.onRepair(found, codes, button) : null,
    };
  }

  #drawTabs() {
    const tab = (row) =>
      h("button", { type: "button", class: "version", "data-version": row.version, "aria-pressed": String(row.id === this.wanted), onclick: () => this.open(row.id).catch(complain) }, t("Version {version}", { version: row.version }), " ", stateOf(row.state));
    fill(this.tabs, ...[...this.rows].reverse().map(tab));
  }

  #drawAbout() {
    const { found } = this;
    const from = this.rows.find(({ id }) => id === found.repaired_from);
    fill(
      this.about,
      h("p", { class: "small" }, t("Sent {at}", { at: when(found.created_at) })),
      from ? h("p", {}, t("Repaired from version {version}: {fixes}", { version: from.version, fixes: found.fixes.map((code) => t(FIXES[code] ?? words(code))).join(", ") })) : null,
      found.note ? h("p", { class: "note" }, noteOf(found.note)) : null,
    );
  }

  /** Draw the remarks, on the mesh and beside it. */
  drawPins() {
    const pins = this.pins.of(this.found);
    this.mesh.setPins(markersOf(pins));
    drawPins(this.remarks, pins, { onLook: (point) => this.mesh.lookAt(point), onAnswer: this.pins.onAnswer, onRemove: this.pins.onRemove });
  }

  /** The figures of this version beside those of another. */
  async #drawCompared() {
    const others = this.rows.filter((row) => row.id !== this.found.id && row.state !== "checking");
    if (!others.length || !this.found.report) return fill(this.compared);
    const { found } = this;
    const before = others.filter((row) => row.version < found.version).at(-1) ?? others[0];
    const holder = h("div", {});
    const draw = async (id) => {
      const other = await this.#get(Number(id));
      const [a, b] = [other, found].map((each) => new Map(figuresOf(each.report?.figures).map(([label, value]) => [label, value])));
      const names = [...new Set([...a.keys(), ...b.keys()])];
      const cell = (row) => (a.get(row) === b.get(row) ? b.get(row) : h("strong", {}, b.get(row) ?? "–"));
      fill(holder, table(t("Figures compared"), [[t("Figure"), (row) => row], [t("Version {version}", { version: other.version }), (row) => a.get(row)], [t("Version {version}", { version: found.version }), cell]], names));
    };
    const select = h("select", { name: "other", onchange: () => draw(select.value).catch(complain) }, ...others.map((row) => h("option", { value: row.id, selected: row.id === before.id }, t("Version {version}", { version: row.version }))));
    fill(this.compared, h("details", {}, h("summary", {}, t("Compare with another version")), h("label", { class: "row" }, t("Other version"), select), holder));
    return draw(before.id);
  }

  /** Show how far the check is, until it has ended. */
  async #watch({ id, job }) {
    const ended = await watchJob(job.id, (now) => this.wanted === id && fill(this.findings, h("p", {}, t("The mesh is being checked…")), jobLine(now)), WATCH_MS);
    if (this.gone) return;
    this.fetched.delete(id);
    if (ended.state === "done") await this.onChecked();
    else if (this.wanted === id) fill(this.findings, h("p", { class: "bad" }, t("The check did not end: {message}", { message: ended.error })));
  }

  dispose() {
    this.gone = true;
    this.mesh.dispose();
  }
}
