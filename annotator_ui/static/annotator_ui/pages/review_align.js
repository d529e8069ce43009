// An alignment under review: the candidate's own pose against the annotator's, its versions, and the tools to fix it.

import * as api from "../api.js";
import { fixed, number, percent, seconds, when } from "../format.js";
import { ALIGN, REVIEW } from "../keys.js";
import { apart } from "../poses.js";
import { t } from "../words.js";
import { AlignStage } from "./align_stage.js";
import { BeforeAfter, MODES } from "./before_after.js";
import { clock } from "./clock.js";
import { named } from "./names.js";
import { loadTruth } from "./truth.js";
import { busy, complain, fill, h, keyButton, table } from "./ui.js";

const KEYS = { before: "swap", after: "swap", wipe: "wipe", beside: "beside" };

export class ReviewAlign {
  /** holder: to fill; found: the answer's detail; settle(body): stores a verdict; fixing(on): the tools take the page. */
  constructor(holder, found, { shelf, settle, fixing }) {
    Object.assign(this, { holder, found, shelf, settle, fixing, fixes: false, table: ALIGN });
    this.last = found.versions.at(-1);
  }

  async open() {
    const { object, candidate } = this.found;
    const picture = h("div", { class: "picture-pane" });
    this.modes = h("div", { class: "row", role: "group", "aria-label": t("Before and after") });
    this.figures = h("div", { class: "figures" });
    fill(this.holder, h("div", {}, picture, this.modes), h("aside", {}, this.figures, this.#versions()));
    const [truth, geometry] = await Promise.all([loadTruth(object), this.shelf.get(candidate.model_url)]);
    if (this.gone) return;
    this.opened = { object, truth, geometry, before: candidate.pose, after: this.last.pose };
    this.compared = new BeforeAfter(picture, { before: t("Before: the candidate's own pose"), after: t("After: {name}", { name: this.last.by }) });
    this.#drawFigures(this.compared.show(this.opened));
    this.#setMode("after");
  }

  #setMode(mode) {
    this.compared.setMode(mode);
    fill(
      this.modes,
      ...Object.entries(MODES).map(([name, label]) => keyButton(REVIEW, KEYS[name], t(label), () => this.#setMode(name), { "aria-pressed": String(name === mode), "data-mode": name })),
      keyButton(REVIEW, "look", t("Shaded, outline, difference"), () => this.act("look")),
    );
  }

  #drawFigures({ before, after }) {
    const { min, max } = this.opened.geometry.boundingBox;
    const middle = ["x", "y", "z"].map((axis) => (min[axis] + max[axis]) / 2);
    const moved = apart(this.opened.before, this.opened.after, middle);
    const rows = [
      { name: t("Mask IoU"), before: fixed(before.iou), after: fixed(after.iou), stored: fixed(this.last.iou) },
      { name: t("Depth residual"), before: percent(before.depth, 2), after: percent(after.depth, 2), stored: percent(this.last.depth_residual, 2) },
    ];
    const columns = [[t("Measure"), (row) => row.name], [t("Before"), (row) => row.before], [t("After"), (row) => row.after], [t("As stored"), (row) => row.stored]];
    fill(
      this.figures,
      table(t("Agreement with the photo"), columns, rows),
      h("p", { class: "small" }, t("Turned by {degrees}°, moved by {distance}, scaled by {factors}", { degrees: fixed(moved.degrees, 1), distance: number(moved.distance), factors: moved.factors.map((value) => fixed(value, 2)).join(" × ") })),
      h("p", { class: "small", translate: "no" }, t("{name} took {time} in {batch}", { name: this.found.user, time: seconds(this.found.active_ms), batch: this.found.batch })),
    );
  }

  #versions() {
    const columns = [[t("Version"), (row) => row.version], [t("By"), (row) => named(row.by)], [t("Mask IoU"), (row) => fixed(row.iou)], [t("Time"), (row) => seconds(row.active_ms)], [t("At"), (row) => when(row.at)]];
    return table(t("Versions"), columns, this.found.versions);
  }

  act(action, hit) {
    if (this.fixes) return this.stage.act(action, hit);
    if (!this.compared) return undefined;
    const { mode } = this.compared;
    const actions = {
      swap: () => this.#setMode(mode === "before" ? "after" : "before"),
      wipe: () => this.#setMode(mode === "wipe" ? "after" : "wipe"),
      beside: () => this.#setMode(mode === "beside" ? "after" : "beside"),
      look: () => this.compared.nextLook(),
      closer: () => this.compared.closer(),
      farther: () => this.compared.farther(),
      whole: () => this.compared.whole(),
      fix: () => this.#fix().catch(complain),
    };
    return void actions[action]?.();
  }

  release() {
    this.stage?.release();
  }

  /** The tools of the align page on the annotator's pose; «first pose» leads back to the candidate's own. */
  async #fix() {
    const root = h("div", { class: "align", id: "stage" });
    clock.take();
    this.compared.dispose();
    this.compared = null;
    this.fixes = true;
    this.fixing(true);
    const store = keyButton(ALIGN, "submit", t("Store the fix"), () => this.stage.act("submit"), { class: "primary", id: "submit" });
    const leave = h("button", { type: "button", id: "leave-fix", onclick: () => this.#leave().catch(complain) }, t("Leave it as it was"));
    fill(this.holder, root, h("div", { class: "row" }, store, leave));
    this.stage = new AlignStage(root, {
      shelf: this.shelf,
      table: ALIGN,
      submit: () => busy(store, () => this.#store()),
      fit: (body) => api.post(`assignments/${this.found.assignment_id}/fit/`, body),
    });
    const { object, candidate } = this.found;
    await this.stage.open({ object, candidate, draft: this.last.pose });
  }

  #store() {
    const { R, t: at, s } = this.stage.pose;
    const { iou, depth } = this.stage.measure();
    return this.settle({ verdict: "fix", pose: { R, t: at, s, iou, depth_residual: depth, active_ms: clock.take() } });
  }

  async #leave() {
    this.stage.dispose();
    this.stage = null;
    this.fixes = false;
    this.fixing(false);
    await this.open();
  }

  dispose() {
    this.gone = true;
    this.compared?.dispose();
    this.stage?.dispose();
  }
}
