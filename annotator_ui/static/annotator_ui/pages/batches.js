// Batches: the list with counts, a new one with all its options, meshes for the library.

import * as api from "../api.js";
import { number, when } from "../format.js";
import { t } from "../words.js";
import { importReport } from "./report.js";
import { $, busy, complain, fields, fill, h, jobLine, onSubmit, stateOf, table, watchJob } from "./ui.js";

async function list() {
  const rows = await api.all("batches/");
  const count = (name) => (row) => number(row.counts?.[name] ?? 0);
  fill(
    $("#list"),
    table(
      "All batches",
      [
        ["Name", (row) => h("a", { href: `/batches/${row.id}/` }, row.name)],
        ["Kind", (row) => row.kind],
        ["State", (row) => stateOf(row.state)],
        ["Objects", count("objects")],
        ["Candidates", count("candidates")],
        ["Open", count("open")],
        ["Done", count("done")],
        ["Escalated", count("escalated")],
        ["Samples", count("samples")],
        ["Made", (row) => when(row.created_at)],
      ],
      rows,
      "No batch yet: make the first one below.",
    ),
  );
}

const SETTINGS = [
  { name: "name", label: "Name", required: true, maxlength: 60, pattern: "[A-Za-z0-9_\\-]+", hint: "Letters, digits, - and _." },
  { name: "n_candidates", label: "Candidates per object (N)", type: "number", min: 2, max: 50, value: 8 },
  { name: "alpha", label: "Bar α that a rating must reach", type: "number", min: 0, max: 1, step: 0.05, value: 0.5 },
  { name: "overlap", label: "People per object (overlap)", type: "number", min: 1, max: 20, value: 1 },
  { name: "priority", label: "Priority (higher comes first)", type: "number", min: -1000, max: 1000, value: 0 },
  { name: "asks_rating", label: "Ask for a rating of the survivor", type: "checkbox", value: true },
  { name: "asks_alignment", label: "Ask for an alignment", type: "checkbox", value: true },
  { name: "asks_review", label: "Answers wait for a reviewer", type: "checkbox", value: false },
  { name: "allows_neither", label: "Allow the answer “neither is usable”", type: "checkbox", value: true },
  { name: "instructions", label: "Instructions for annotators", type: "textarea", maxlength: 20000 },
];

function newBatch(form) {
  fill(form, ...fields(SETTINGS), h("p", {}, h("button", { class: "primary", type: "submit" }, "Make the batch")));
  onSubmit(form, async (values) => {
    const made = await api.post("batches/", values);
    window.location.assign(`/batches/${made.id}/`);
  });
}

function newMeshes(form) {
  const progress = h("div", { "aria-live": "polite" });
  fill(
    form,
    h("label", {}, "File", h("input", { type: "file", name: "file", required: true }), h("span", { class: "hint" }, "GLB, OBJ, PLY, STL; glTF or OBJ with textures in a ZIP.")),
    ...fields([
      { name: "category", label: "Category", maxlength: 100 },
      { name: "licence", label: "Licence", maxlength: 100 },
      { name: "attribution", label: "Attribution", maxlength: 2000 },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, "Add to the library")),
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
