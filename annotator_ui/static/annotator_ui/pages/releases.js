// Releases: freeze, look into, compare, download, what one builds on, and the three lines that load one.

import * as api from "../api.js";
import { counts, number, size, when, words } from "../format.js";
import { t, w } from "../words.js";
import { named } from "./names.js";
import { $, busy, complain, facts, fields, fill, h, jobLine, onSubmit, stateOf, table, toast, watchJob } from "./ui.js";

const COUNTS = { added: w("only in the first"), removed: w("only in the second"), common: w("in both") };
let releases = [];

async function list() {
  releases = await api.all("releases/");
  fill(
    $("#list"),
    table(
      t("All releases"),
      [
        [t("Release"), (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => open(row.id)) }, `${words(row.kind)} ${row.id}`)],
        [t("State"), (row) => h("span", {}, stateOf(row.state), row.removed_images ? h("span", { class: "bad small" }, " ", removed(row)) : null)],
        [t("Rows"), (row) => number(row.rows)],
        [t("Train / validation"), split],
        [t("Collection"), (row) => collection(row)],
        [t("Builds on"), (row) => (row.base ? String(row.base) : null)],
        [t("Batches"), (row) => named(batchNames(row))],
        [t("Simulated"), (row) => (row.include_simulated ? t("included") : t("left out"))],
        [t("Hash"), (row) => h("code", { title: row.sha256 }, row.sha256 ? row.sha256.slice(0, 12) : "–")],
        [t("Frozen"), (row) => when(row.created_at)],
      ],
      releases,
      t("No release yet: freeze the first one below."),
    ),
  );
  await drawForms();
}

const batchNames = (row) => row.batches.map((batch) => batch.name).join(", ");
const split = (row) => (row.counts?.train || row.counts?.validation ? `${number(row.counts.train ?? 0)} / ${number(row.counts.validation ?? 0)}` : null);
const collection = (row) => (row.collection ? words(row.collection) : t("not told apart"));
const removed = (row) => t("holds removed photos: {n}", { n: number(row.removed_images) });
const title = (row) => t("{kind} {id} ({n} rows)", { kind: words(row.kind), id: row.id, n: number(row.rows) });

async function drawForms() {
  const batches = await api.all("batches/");
  const create = $("#create");
  fill(
    create,
    ...fields([
      { name: "kind", label: t("Kind"), type: "select", options: [["sft", t("SFT: accepted samples")], ["dpo", t("DPO: preference pairs")]] },
      { name: "collection", label: t("Collection"), type: "select", options: [["shape", t("Shape")], ["texture", t("Texture")]], hint: t("Batches that judge shape and batches that judge texture are released apart.") },
      { name: "batches", label: t("Batches"), type: "choices", options: batches.map((batch) => [batch.id, named(batch.name)]), hint: t("There is no batch yet.") },
      { name: "base", label: t("Build on"), type: "select", options: [], hint: t("Only what that release does not hold is written, and what no longer counts is listed. Its batches are taken too.") },
      { name: "min_rating", label: t("Least rating"), type: "number", min: 0, max: 1, step: 0.05, value: 0 },
      { name: "own_negatives", label: t("Reject only what our own models made"), type: "checkbox", value: true, hint: t("Preference pairs whose loser came from retrieval, inflation or another program are left out, as in the paper.") },
      { name: "aesthetic", label: t("Only objects of high aesthetics"), type: "checkbox", hint: t("Whole, unhidden objects in bright, contrasty, colourful, sharp photos.") },
      { name: "include_simulated", label: t("Include answers of simulated annotators"), type: "checkbox" },
      { name: "include_fallback_layout", label: t("Include layouts placed on fallback depth"), type: "checkbox" },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Freeze"))),
    h("div", { class: "job", "aria-live": "polite" }),
  );
  const judged = new Map(batches.map((batch) => [String(batch.id), batch.judges]));
  const fit = () => fitChoices(create, judged);
  for (const name of ["kind", "collection"]) create.elements[name].addEventListener("change", fit);
  fit();
  const options = releases.filter((row) => row.state === "frozen").map((row) => [row.id, title(row)]);
  fill(
    $("#comparison"),
    ...fields([
      { name: "one", label: t("Release"), type: "select", options },
      { name: "other", label: t("Against"), type: "select", options: [...options].reverse() },
    ]),
    h("p", {}, h("button", { type: "submit", disabled: options.length < 2 }, t("Compare"))),
    options.length < 2 ? h("p", { class: "muted" }, t("Two frozen releases are needed.")) : null,
    h("div", { class: "result" }),
  );
}

/** Offers the batches, bases and filters that go with the kind and the collection. judged: what each batch judges, by id. */
function fitChoices(form, judged) {
  const { kind, collection: wanted, base, own_negatives: own } = form.elements;
  for (const input of form.querySelectorAll("[name=batches]")) {
    input.disabled = judged.get(input.value) !== wanted.value;
    input.closest("label").hidden = input.disabled;
  }
  own.disabled = kind.value !== "dpo";
  own.closest("label").hidden = own.disabled;
  const bases = releases.filter((row) => row.state === "frozen" && row.kind === kind.value && row.collection === wanted.value);
  fill(base, h("option", { value: "" }, t("nothing: a whole release")), ...bases.map((row) => h("option", { value: row.id }, title(row))));
}

async function freeze({ base, ...values }) {
  if (!values.batches?.length && !base) throw new Error(t("Choose at least one batch."));
  const { release, job } = await api.post("releases/", { ...values, base: base ? Number(base) : null });
  const line = $("#create .job");
  const ended = await watchJob(job.id, (now) => fill(line, jobLine(now)));
  await list();
  if (ended.state !== "done") return toast(ended.error || t("The release could not be frozen."), "bad");
  return open(release.id);
}

async function open(id) {
  const row = await api.get(`releases/${id}/`);
  const files = await api.all(`releases/${id}/files/`, 2000);
  const elsewhere = row.sha256 && !files.length;  // in the place that the command was given
  const verify = h("button", { type: "button" }, t("Verify the hashes"));
  verify.addEventListener("click", () => busy(verify, () => check(id)));
  fill(
    $("#one"),
    h("h2", {}, t("{kind} release {id}", { kind: words(row.kind), id: row.id }), " ", stateOf(row.state)),
    row.removed_images ? h("p", { class: "bad" }, t("This release holds removed photos: {n}. A frozen release never changes; no later one holds them.", { n: number(row.removed_images) })) : null,
    facts([
      [t("Rows"), number(row.rows)],
      [t("Train / validation"), split(row) ?? "–"],
      [t("Collection"), collection(row)],
      [t("Batches"), named(batchNames(row) || "–")],
      ...lineage(row),
      row.kind === "dpo" ? [t("Rejected"), row.own_negatives ? t("only what our own models made") : t("whatever lost")] : null,
      row.aesthetic ? [t("Objects"), t("of high aesthetics only")] : null,
      [t("Simulated answers"), row.include_simulated ? t("included") : t("left out")],
      [t("Layouts on fallback depth"), row.include_fallback_layout ? t("included") : t("left out")],
      [t("Least rating"), number(row.min_rating)],
    ].filter(Boolean)),
    Object.keys(row.counts ?? {}).length ? h("p", { class: "small" }, counts(row.counts)) : null,
    row.sha256 ? h("p", {}, t("Manifest sha256"), " ", h("code", {}, row.sha256)) : null,
    h("p", { class: "row" }, verify, h("span", { id: "verified", "aria-live": "polite" })),
    ...loading(row, elsewhere),
    elsewhere ? null : table(
      t("Files"),
      [
        [t("Name"), (file) => h("a", { href: file.url, download: file.name.split("/").at(-1), translate: "no" }, file.name)],
        [t("Size"), (file) => size(file.size)],
        ["sha256", (file) => h("code", {}, file.sha256.slice(0, 16))],
      ],
      files,
    ),
  );
  $("#one").hidden = false;
  $("#one").scrollIntoView({ block: "nearest" });
}

/** What it builds on, nearest first, and what builds on it, each to be opened. */
function lineage(row) {
  const line = (found) => found.map((each) => h("button", { type: "button", class: "plain", title: each.sha256, onclick: () => busy(null, () => open(each.id)) }, title({ ...each, kind: row.kind })));
  const [later, before] = [row.lineage.filter((each) => each.distance < 0), row.lineage.filter((each) => each.distance > 0)];
  return [
    before.length ? [t("Builds on"), h("span", { class: "row" }, ...line(before))] : null,
    later.length ? [t("Built on by"), h("span", { class: "row" }, ...line(later))] : null,
  ];
}

/** The lines that load it, as the server knows them. */
function loading(row, elsewhere) {
  if (!row.load) return row.job?.error ? [h("p", { class: "bad" }, row.job.error)] : [];
  return [
    h("h3", {}, t("Load it")),
    h("p", { class: "small" }, elsewhere ? t("Its files lie in the place that the command wrote them to:") : t("With the files below in one folder of that name, keeping their paths:")),
    ...Object.entries(row.load).flatMap(([library, lines]) => [h("h4", { translate: "no" }, library), h("pre", {}, lines)]),
  ];
}

async function check(id) {
  const job = await api.post(`releases/${id}/verify/`);
  const line = $("#verified");
  const ended = await watchJob(job.id, (now) => fill(line, jobLine(now)));
  if (ended.state === "done") fill(line, h("span", { class: "good" }, ended.message || t("Every hash and row agrees.")));
}

async function compare({ one, other }) {
  const reply = await api.get(`releases/${one}/compare/${other}/`);
  fill($("#comparison .result"), facts(Object.entries(reply).map(([name, value]) => [t(COUNTS[name] ?? name), typeof value === "object" && value ? counts(value) : number(value)])));
}

async function listBuilds() {
  const builds = await api.all("builds/");
  const done = (row) => (row.state === "done" ? counts({ rows: row.counts.rows, shapes: row.counts.shapes, refused: row.counts.refused }) : row.error || null);
  const columns = [
    [t("Build"), (row) => `${row.variant} ${row.id}`],
    [t("State"), (row) => stateOf(row.state)],
    [t("Shards"), (row) => number(row.shards)],
    [t("Outcome"), done],
    [t("From"), (row) => h("code", {}, row.source)],
    [t("Place"), (row) => h("code", {}, row.out)],
    [t("Hash"), (row) => h("code", { title: row.sha256 }, row.sha256 ? row.sha256.slice(0, 12) : "–")],
    [t("Begun"), (row) => when(row.created_at)],
  ];
  fill($("#builds"), table(t("Data sets built of meshes and photos"), columns, builds, t("None yet: a command starts one.")));
}

onSubmit($("#create"), freeze);
onSubmit($("#comparison"), compare);
list().catch(complain);
listBuilds().catch(complain);
