// The rating of a bracket's survivor: any value on a slider, or one of the batch's levels, with anchors beside it.

import { ESCALATE_REASONS, verdictOf } from "../queue.js";
import { t } from "../words.js";
import { strip, turnStrip } from "./compare_grid.js";
import { around, drawPhoto, loadImage } from "./photo.js";
import { $, ask, fields, fill, h, values } from "./ui.js";

const STEP = 0.05;

export class Rating {
  /** onStore(): the person wants the rating stored. */
  constructor({ onStore }) {
    this.form = $("#rating");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      onStore();
    });
    $("#r").addEventListener("input", () => this.set(Number($("#r").value)));
  }

  /** Ask for a rating on a batch's scale: {alpha, scale, anchors}. */
  show({ alpha, scale, anchors }) {
    this.alpha = alpha;
    this.levels = scale ?? [];
    $("#slider").hidden = this.levels.length > 0;
    this.buttons = this.levels.map(({ r, label }, at) =>
      h("button", { type: "button", class: "level", "aria-pressed": "false", onclick: () => this.set(r) }, label, h("kbd", {}, String(at + 1))),
    );
    fill($("#levels"), ...this.buttons);
    $("#levels").hidden = !this.levels.length;
    const bar = $("#bar");
    bar.style.left = `${alpha * 100}%`;
    $("span", bar).textContent = t("bar {alpha}", { alpha });
    fill($("#anchors"), ...anchors.map((anchor) => example(anchor, this.levels)));
    $("#anchors").hidden = !anchors.length;
    this.form.hidden = false;
    this.set(this.levels.length ? null : 0.5);
  }

  hide() {
    this.form.hidden = true;
  }

  /** Choose a value; null: nothing is chosen yet. */
  set(value) {
    this.r = value === null ? null : Math.round(Math.max(0, Math.min(1, value)) * 100) / 100;
    if (this.levels.length && value !== null) this.r = value;
    this.buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(this.levels[at].r === this.r)));
    $("#r").value = this.r ?? 0;
    $("#r-value").textContent = this.r === null ? "" : this.r.toFixed(2);
    $("#verdict").textContent = this.r === null ? t("Choose a level.") : verdictOf(this.r, this.alpha);
    $("#store").disabled = this.r === null;
  }

  level(at) {
    if (this.levels[at]) this.set(this.levels[at].r);
  }

  /** One step up or down. */
  move(by) {
    if (!this.levels.length) return this.set(this.r + by * STEP);
    const now = this.levels.findIndex(({ r }) => r === this.r);
    const first = by > 0 ? 0 : this.levels.length - 1;
    return this.level(now < 0 ? first : Math.max(0, Math.min(this.levels.length - 1, now + by)));
  }
}

/** An anchor as a figure: its object in the photo, its mesh, what it was rated, and on which of the scale's levels. */
export function example(anchor, scale) {
  const { r, note, photo_url, box, width, height } = anchor;
  const canvas = h("canvas", { class: "anchor-photo", role: "img", "aria-label": t("The photo of the example") });
  const mesh = strip(anchor);
  turnStrip(mesh, 7);
  const label = scale.find((level) => level.r === r)?.label;
  loadImage(photo_url)
    .then((photo) => drawPhoto(canvas, photo, null, box.length === 4 ? around(box, width, height) : undefined))
    .catch(() => canvas.remove());
  const words = h("figcaption", { translate: "no" }, h("strong", {}, r.toFixed(2)), label ? ` ${label}` : null, note ? h("span", { class: "muted" }, ` ${note}`) : null);
  return h("figure", { class: "anchor" }, canvas, mesh, words);
}

/** Below the bar the object goes on to harder means; what makes it hard tells which. Null: not stored. */
export async function whyLow() {
  const options = ESCALATE_REASONS.map((reason) => [reason, t(reason)]);
  const form = h("form", {}, ...fields([{ name: "reasons", label: t("What makes it hard?"), type: "choices", options }]));
  const buttons = [["store", t("Store and escalate"), "primary"], [null, t("Rate again")]];
  const choice = await ask(t("Below the bar"), t("Below the bar this object is escalated instead of aligned."), buttons, [form]);
  return choice === "store" ? values(form).reasons : null;
}
