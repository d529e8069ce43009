// Remarks on a version of a mesh, thread by thread: numbered as on the mesh, each to be answered.

import { when } from "../format.js";
import { threads } from "../pins.js";
import { t } from "../words.js";
import { named } from "./names.js";
import { ask, busy, fill, h, toast } from "./ui.js";

/** Ask for a remark; resolves with its text, or null. */
export async function askRemark(title, text = "") {
  const field = h("textarea", { rows: 4, maxlength: 2000, "aria-label": t("Remark") });
  const choice = await ask(title, text, [["store", t("Pin it"), "primary"], [null, t("Cancel")]], [field]);
  if (choice !== "store") return null;
  if (field.value.trim()) return field.value.trim();
  toast(t("An empty remark was not pinned."), "bad");
  return null;
}

/** What the markers on the mesh show: [{number, point, title}]. */
export function markersOf(pins) {
  return threads(pins)
    .filter(({ point }) => point)
    .map(({ number, point, pins: said }) => ({ number, point, title: t("Remark {number}: {text}", { number, text: said[0].text }) }));
}

/**
 * Draw the threads of pins [{by, at, point, text, draft}] into `holder`. onLook(point): turn the mesh there; onAnswer(point,
 * text): null where nothing can be said; onRemove(pin): takes a draft away.
 */
export function drawPins(holder, pins, { onLook, onAnswer = null, onRemove = null }) {
  const found = threads(pins);
  const answer = async (point, title) => {
    const text = await askRemark(title);
    if (text) await onAnswer(point, text);
  };
  const remark = (pin) =>
    h(
      "div",
      { class: pin.draft ? "remark draft" : "remark" },
      h("p", { translate: "no" }, pin.text),
      h("p", { class: "small" }, pin.draft ? t("not sent yet") : [named(pin.by), `, ${when(pin.at)}`]),
      pin.draft && onRemove ? h("button", { type: "button", class: "plain", onclick: () => onRemove(pin) }, t("Remove")) : null,
    );
  const thread = ({ number, point, pins: said }) => {
    const title = number ? t("Answer remark {number}", { number }) : t("Remark on the whole mesh");
    const button = h("button", { type: "button", class: "plain", onclick: () => busy(button, () => answer(point, title)) }, t("Answer"));
    return h(
      "li",
      { class: "thread", "data-number": number ?? "" },
      number ? h("button", { type: "button", class: "marker", "aria-label": t("Show remark {number} on the mesh", { number }), onclick: () => onLook(point) }, String(number)) : h("span", { class: "small" }, t("Whole mesh")),
      h("div", {}, ...said.map(remark), onAnswer ? button : null),
    );
  };
  const whole = h("button", { type: "button", onclick: () => busy(whole, () => answer(null, t("Remark on the whole mesh"))) }, t("Remark on the whole mesh"));
  fill(
    holder,
    h("h3", {}, t("Remarks")),
    found.length ? h("ol", { class: "threads" }, ...found.map(thread)) : h("p", { class: "muted" }, t("No remarks on this version.")),
    onAnswer ? h("p", {}, whole) : null,
  );
}
