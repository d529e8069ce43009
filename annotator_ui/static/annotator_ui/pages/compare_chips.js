// Reasons that may go with a comparison: chosen before it is answered, by click or key, and gone with the answer.

import { COMPARE } from "../keys.js";
import { t, w } from "../words.js";
import { $, fill, h } from "./ui.js";

// Stored as they stand here; shown with t().
const SHAPE = [w("shape"), w("completeness"), w("details"), w("proportions"), w("artefacts")];
const REASONS = { shape: SHAPE, texture: [...SHAPE, w("texture")] };
const { keys: KEYS } = COMPARE.find(({ action }) => action === "chip");

export class Chips {
  constructor() {
    this.box = $("#chips");
  }

  /** Offer the reasons of what a batch judges, none of them chosen. */
  show(judges) {
    this.reasons = REASONS[judges];
    this.chosen = new Set();
    this.buttons = this.reasons.map((reason, at) =>
      h("button", { type: "button", class: "chip", "aria-pressed": "false", onclick: () => this.toggle(at) }, t(reason), h("kbd", {}, KEYS[at])),
    );
    fill($("#chip-list"), ...this.buttons);
    this.box.hidden = false;
  }

  hide() {
    this.box.hidden = true;
  }

  /** Choose the reason of a key, or not any more. */
  press(key) {
    this.toggle(KEYS.indexOf(key));
  }

  toggle(at) {
    const reason = this.reasons[at];
    if (!reason) return;
    if (!this.chosen.delete(reason)) this.chosen.add(reason);
    this.buttons[at].setAttribute("aria-pressed", String(this.chosen.has(reason)));
  }

  /** The chosen reasons, in the list's order; afterwards none is chosen. */
  take() {
    const taken = this.reasons.filter((reason) => this.chosen.has(reason));
    this.chosen.clear();
    for (const button of this.buttons) button.setAttribute("aria-pressed", "false");
    return taken;
  }
}
