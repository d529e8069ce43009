// Artists' meshes under review: the list, and one submission with its report and verdict.

import * as api from "../api.js";
import { when } from "../format.js";
import { t } from "../words.js";
import { report } from "./report.js";
import { showPosed, showTurning } from "./posed.js";
import { busy, facts, fields, fill, h, stateOf, table, toast, values } from "./ui.js";

/** Fill `list` with the submissions that wait; one that is opened goes into `work`, and about({object, batch, stage}) tells. */
export async function artists(list, work, about) {
  const rows = await api.all("submissions/?state=in_review", 200);
  const again = () => {
    toast(t("Verdict stored."));
    work.hidden = true;
    about(null);
    return artists(list, work, about);
  };
  const open = (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => show(work, row, { again, about })) }, title(row));
  const columns = [[t("Object"), open], [t("Version"), (row) => row.version], [t("By"), (row) => row.artist], [t("Sent"), (row) => when(row.created_at)]];
  fill(list, table(t("Artists' meshes"), columns, rows, t("Nothing waits for review.")));
}

const title = ({ task: { object } }) => `${object.category || t("object")} ${object.id}`;

async function show(work, row, { again, about }) {
  const found = await api.get(`submissions/${row.id}/`);
  about({ object: found.task.object.id, batch: found.task.batch.id, stage: "art" });
  const picture = h("div", {});
  const mesh = h("div", {});
  const form = h("form", { class: "form" }, ...fields([{ name: "note", label: t("Note for the artist"), type: "textarea", maxlength: 2000 }]));
  const decide = (verdict, label, kind) => {
    const button = h("button", { type: "button", class: kind }, label);
    button.addEventListener("click", () => busy(button, () => judge(row.id, verdict, values(form).note, again)));
    return button;
  };
  form.append(h("p", { class: "row" }, decide("approve", t("Approve"), "primary"), decide("return", t("Send back"), "")));
  fill(
    work,
    h("h2", {}, title(found), " ", stateOf(found.state)),
    facts([[t("By"), found.artist], [t("Version"), found.version], [t("Why it was hard"), found.task.reason || "–"], [t("Batch"), found.task.batch.name]]),
    h("div", { class: "columns" }, picture, mesh),
    found.report ? report(found.report) : null,
    form,
  );
  work.hidden = false;
  await Promise.all([showPosed(picture, { object: found.task.object }), found.model_url ? showTurning(mesh, found.model_url) : null]);
}

async function judge(id, verdict, note, again) {
  if (verdict === "return" && !note.trim()) return toast(t("Say what is to be done again."), "bad");
  await api.post(`submissions/${id}/verdict/`, { verdict, note });
  return again();
}
