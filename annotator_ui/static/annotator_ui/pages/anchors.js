// The anchors of a batch: an admin chooses rated candidates that show annotators what a rating means.

import * as api from "../api.js";
import { t } from "../words.js";
import { example } from "./compare_rating.js";
import { busy, complain, fill, h, onSubmit, toast } from "./ui.js";

/** A part of the batch page that fills itself when it is opened. */
export function anchorChoice(batch) {
  const body = h("div", {});
  const details = h("details", { id: "anchors" }, h("summary", {}, t("Examples of ratings")), body);
  details.addEventListener("toggle", () => details.open && load(batch, body).catch(complain));
  return details;
}

async function load(batch, body) {
  const { anchors, rated } = await api.get(`batches/${batch.id}/anchors/`);
  const taken = new Set(anchors.map(({ candidate }) => candidate));
  const free = rated.filter(({ candidate }) => !taken.has(candidate));
  const again = () => load(batch, body);
  fill(
    body,
    h("p", { class: "small" }, t("People who rate see these beside the scale, but never those of the object in hand.")),
    h("div", { class: "anchors" }, ...anchors.map((anchor) => shown(batch, anchor, removal(anchor, again)))),
    anchors.length ? null : h("p", { class: "muted" }, t("No examples yet.")),
    h("h3", {}, t("Rated candidates")),
    h("div", { class: "anchors" }, ...free.map((each) => shown(batch, each, choice(batch, each, again)))),
    free.length ? null : h("p", { class: "muted" }, t("Nobody has rated another candidate yet.")),
  );
}

function shown({ scale }, anchor, action) {
  const figure = example(anchor, scale);
  figure.append(action);
  return figure;
}

function removal({ id }, again) {
  return button(t("Take away"), async () => {
    await api.remove(`anchors/${id}/`);
    await again();
  });
}

/** A form that makes a rated candidate an example, with its own r or another, and a word about it. */
function choice(batch, { candidate, r }, again) {
  const form = h(
    "form",
    { class: "form" },
    h("label", {}, t("Value"), h("input", { type: "number", name: "r", min: 0, max: 1, step: "any", value: r, required: true })),
    h("label", {}, t("A word about it"), h("input", { name: "note", maxlength: 200 })),
    h("button", { type: "submit" }, t("Make it an example")),
  );
  onSubmit(form, async (values) => {
    await api.post(`batches/${batch.id}/anchors/`, { candidate, ...values });
    toast(t("People see it beside the scale now."));
    await again();
  });
  return form;
}

function button(label, action) {
  const made = h("button", { type: "button" }, label);
  made.addEventListener("click", () => busy(made, action));
  return made;
}
