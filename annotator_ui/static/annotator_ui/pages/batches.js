// Batches: the list with counts, a new one with all its options, meshes for the library.

import * as api from "../api.js";
import { number, when, words } from "../format.js";
import { t, w } from "../words.js";
import { importReport } from "./report.js";
import { selected, selecting } from "./select_settings.js";
import { $, busy, complain, fields, fill, h, jobLine, onSubmit, stateOf, table, watchJob } from "./ui.js";

async function list() {
  const rows = await api.all("batches/");
  const count = (name) => (row) => number(row.counts?.[name] ?? 0);
  fill(
    $("#list"),
    table(
      t("All batches"),
      [
        [t("Name"), (row) => h("a", { href: `/batches/${row.id}/`, translate: "no" }, row.name)],
        [t("Kind"), (row) => words(row.kind)],
        [t("State"), (row) => stateOf(row.state)],
        [t("Objects"), count("objects")],
        [t("Candidates"), count("candidates")],
        [t("Open"), count("open")],
        [t("Done"), count("done")],
        [t("Escalated"), count("escalated")],
        [t("Samples"), count("samples")],
        [t("Made"), (row) => when(row.created_at)],
      ],
      rows,
      t("No batch yet: make the first one below."),
    ),
  );
}

const SETTINGS = [
  { name: "name", label: w("Name"), required: true, maxlength: 60, pattern: "[A-Za-z0-9_\\-]+", hint: w("Letters, digits, - and _.") },
  { name: "n_candidates", label: w("Candidates per object (N)"), type: "number", min: 2, max: 50, value: 8 },
  { name: "alpha", label: w("Bar α that a rating must reach"), type: "number", min: 0, max: 1, step: 0.05, value: 0.5 },
  { name: "overlap", label: w("People per object (overlap)"), type: "number", min: 1, max: 20, value: 1 },
  { name: "priority", label: w("Priority (higher comes first)"), type: "number", min: -1000, max: 1000, value: 0 },
  { name: "asks_rating", label: w("Ask for a rating of the survivor"), type: "checkbox", value: true },
  { name: "asks_alignment", label: w("Ask for an alignment"), type: "checkbox", value: true },
  { name: "asks_review", label: w("Answers wait for a reviewer"), type: "checkbox", value: false },
  { name: "allows_neither", label: w("Allow the answer “neither is usable”"), type: "checkbox", value: true },
  { name: "protocol", label: w("How people compare"), type: "select", value: "king_of_the_hill", options: [["king_of_the_hill", w("King of the hill: each winner meets a fresh one")], ["grid", w("Grid: pick four of all, then a knockout")]] },
  { name: "judges", label: w("What is judged"), type: "select", value: "shape", options: [["shape", w("Shape, untextured")], ["texture", w("Texture")]] },
  { name: "scale", label: w("Levels of the rating, one a line"), type: "textarea", maxlength: 1000, placeholder: w("0 Unusable\n0.5 Recognisable\n1 As the photo"), hint: w("Two to nine lines: a value from 0 to 1, rising, and a label. Empty: any value on a slider.") },
  { name: "instructions", label: w("Instructions for annotators"), type: "textarea", maxlength: 20000 },
];

/** Levels [{r, label}] as written, one a line. */
function levels(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const [, r, label] = line.match(/^([\d.]+)\s+(.+)$/) ?? [];
    if (!label || Number.isNaN(Number(r))) throw new Error(t("“{line}” is no level: write a value and a label, such as 0.5 Recognisable.", { line }));
    return { r: Number(r), label };
  });
}

/** A field's definition in the reader's language. */
const said = (field) => ({ ...field, label: t(field.label), hint: field.hint && t(field.hint), placeholder: field.placeholder && t(field.placeholder), options: field.options?.map(([value, text]) => [value, t(text)]) });

function newBatch(form) {
  fill(form, ...fields(SETTINGS.map(said)), h("p", {}, h("button", { class: "primary", type: "submit" }, t("Make the batch"))));
  onSubmit(form, async (values) => {
    const made = await api.post("batches/", { ...values, scale: levels(values.scale) });
    window.location.assign(`/batches/${made.id}/`);
  });
}

function newMeshes(form) {
  const progress = h("div", { "aria-live": "polite" });
  fill(
    form,
    h("label", {}, t("File"), h("input", { type: "file", name: "file", required: true }), h("span", { class: "hint" }, t("GLB, OBJ, PLY, STL; glTF or OBJ with textures in a ZIP."))),
    ...fields([
      { name: "category", label: t("Category"), maxlength: 100 },
      { name: "licence", label: t("Licence"), maxlength: 100 },
      { name: "attribution", label: t("Attribution"), maxlength: 2000 },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Add to the library"))),
    progress,
  );
  onSubmit(form, async () => {
    const job = await api.upload("imports/meshes/", new FormData(form));
    const ended = await watchJob(job.id, (now) => fill(progress, jobLine(now)));
    fill(progress, importReport(ended));
  });
}

/** The guided practice is made once, from objects with known truth; until then there is a button for it. */
async function practice(place) {
  const { items } = await api.get("practice/");
  place.hidden = items.length > 0;
  if (items.length) return;
  const progress = h("div", { "aria-live": "polite" });
  const make = async () => {
    const job = await api.post("practice/");
    const ended = await watchJob(job.id, (now) => fill(progress, jobLine(now)));
    if (ended.state !== "done") return;
    await practice(place);
    await list();
  };
  const button = h("button", { type: "button", onclick: () => busy(button, make) }, t("Make the practice"));
  fill(place, h("p", {}, t("There is no guided practice yet. It is made from up to six objects whose true mesh is known.")), h("p", { class: "row" }, button), progress);
}

list().catch(complain);
if ($("#practice")) practice($("#practice")).catch(complain);
if ($("#create")) newBatch($("#create"));
if ($("#meshes")) newMeshes($("#meshes"));
