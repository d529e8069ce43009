// "Report a problem": the same question on every page where somebody works on an object.

import * as api from "../api.js";
import { DESK } from "../keys.js";
import { t } from "../words.js";
import { $, ask, bindBeside, busy, complain, fields, h, keyButton, toast, values } from "./ui.js";

const KINDS = () => [
  ["problem", t("Something is wrong with this object")],
  ["outside_taxonomy", t("A salient object that no category fits")],
];

/** Ask what is wrong with an object and send it once. `place`: x, y in pixels of the photo, where one is meant. */
export async function reportProblem({ object, batch, stage, kind = "problem", place = null }) {
  const form = h(
    "form",
    { class: "form" },
    ...fields([
      { name: "kind", label: t("What is it?"), type: "select", value: kind, options: KINDS() },
      { name: "note", label: t("What have you seen?"), type: "textarea", maxlength: 2000, required: true },
    ]),
  );
  const key = crypto.randomUUID();
  const text = t("Those who run the batch will read it. You can go on with your work.");
  while ((await ask(t("Report a problem"), text, [["send", t("Send"), "primary"], [null, t("Cancel")]], [form])) === "send") {
    const found = values(form);
    if (!found.note.trim()) {
      toast(t("Say in a few words what is wrong."), "bad");
      continue;
    }
    try {
      await api.post(`objects/${object}/problems/`, { key, batch, stage, ...found, ...(place ? { place } : {}) });
      toast(t("Reported. Thank you."));
      return true;
    } catch (problem) {
      complain(problem);
    }
  }
  return false;
}

/** The button and its key for pages without a desk; subject(): {object, batch, stage} of what is on screen, or null. */
export function problemButton(subject) {
  const report = () => {
    const found = subject();
    if (found) reportProblem(found);
    else toast(t("Open an object first."));
  };
  const table = DESK.filter(({ action }) => action === "problem");
  $("#tools").append(keyButton(table, "problem", t("Report a problem"), () => busy(null, report), { class: "plain" }));
  bindBeside(table, report);
}
