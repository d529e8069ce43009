// What the Select page asks of others: the segmenter's outline, the reason of a rejection, the name of a flagged object.

import * as api from "../api.js";
import { t, w } from "../words.js";
import { ask, complain, fields, h, toast, values, watchJob } from "./ui.js";

const POLL_MS = 50;
const SLOW_MS = 8000;
const REASONS = [w("bad mask"), w("several objects"), w("unclear part")];

class Stale extends Error {}

/** The segmenter's reply to a prompt on an assignment; without clicks and box it only gets the photo ready. Null once stale. */
export async function segment({ id, fence }, prompt = {}, isStale = () => false) {
  const { job } = await api.post(`assignments/${id}/segment/`, { fence, key: crypto.randomUUID(), ...prompt });
  const slow = setTimeout(() => isStale() || toast(t("The outline is late. You can draw it by hand meanwhile.")), SLOW_MS);
  try {
    const ended = await watchJob(job.id, () => {
      if (isStale()) throw new Stale();
    }, POLL_MS);
    if (ended.state !== "done") throw Object.assign(new Error(ended.error || t("The outline was not made.")), { status: 422 });
    return ended.result;
  } catch (problem) {
    if (problem instanceof Stale) return null;
    throw problem;
  } finally {
    clearTimeout(slow);
  }
}

/** Why an imported mask is no object, or null. */
export function rejection() {
  const options = REASONS.map((reason) => [reason, t(reason)]);
  return ask(t("Reject this mask"), t("The object leaves this batch, with your reason."), [...options, [null, t("Stay"), "primary"]]);
}

/** Name a salient object that the taxonomy has no category for; resolves with {place, note} once stored, else null. */
export async function flagged({ object, batch }, place) {
  const form = h("form", {}, ...fields([{ name: "note", label: t("What is it?"), maxlength: 100 }]));
  form.addEventListener("submit", (event) => event.preventDefault());
  const [key, text] = [crypto.randomUUID(), t("A salient object that no category of this batch fits.")];
  while ((await ask(t("Not in the taxonomy"), text, [["send", t("Flag it"), "primary"], [null, t("Cancel")]], [form])) === "send") {
    const note = values(form).note.trim();
    if (!note) {
      toast(t("Say in a word what it is."), "bad");
      continue;
    }
    try {
      await api.post(`objects/${object.id}/problems/`, { key, batch: batch.id, stage: "select", kind: "outside_taxonomy", note, place });
      return { place, note };
    } catch (problem) {
      complain(problem);
    }
  }
  return null;
}
