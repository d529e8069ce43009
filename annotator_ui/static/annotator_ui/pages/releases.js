// Releases: freeze, look into, compare, download, and the three lines that load one.

import * as api from "../api.js";
import { counts, number, size, when } from "../format.js";
import { $, busy, complain, facts, fields, fill, h, jobLine, onSubmit, stateOf, table, toast, watchJob } from "./ui.js";

let releases = [];

async function list() {
  releases = await api.all("releases/");
  fill(
    $("#list"),
    table(
      "All releases",
      [
        ["Release", (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => open(row.id)) }, `${row.kind} ${row.id}`)],
        ["State", (row) => stateOf(row.state)],
        ["Rows", (row) => number(row.rows)],
        ["Batches", (row) => batchNames(row)],
        ["Simulated", (row) => (row.include_simulated ? "included" : "left out")],
        ["Hash", (row) => h("code", { title: row.sha256 }, row.sha256 ? row.sha256.slice(0, 12) : "–")],
        ["Frozen", (row) => when(row.created_at)],
      ],
      releases,
      "No release yet: freeze the first one below.",
    ),
  );
  await drawForms();
}

const batchNames = (row) => row.batches.map((batch) => batch.name).join(", ");

async function drawForms() {
  const batches = await api.all("batches/");
  const create = $("#create");
  fill(
    create,
    ...fields([
      { name: "kind", label: "Kind", type: "select", options: [["sft", "SFT: accepted samples"], ["dpo", "DPO: preference pairs"]] },
      { name: "batches", label: "Batches", type: "choices", options: batches.map((batch) => [batch.id, batch.name]), hint: "There is no batch yet." },
      { name: "min_rating", label: "Least rating", type: "number", min: 0, max: 1, step: 0.05, value: 0 },
      { name: "include_simulated", label: "Include answers of simulated annotators", type: "checkbox" },
      { name: "include_fallback_layout", label: "Include layouts placed on fallback depth", type: "checkbox" },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, "Freeze")),
    h("div", { class: "job", "aria-live": "polite" }),
  );
  const options = releases.filter((row) => row.state === "frozen").map((row) => [row.id, `${row.kind} ${row.id} (${number(row.rows)} rows)`]);
  fill(
    $("#comparison"),
    ...fields([
      { name: "one", label: "Release", type: "select", options },
      { name: "other", label: "Against", type: "select", options: [...options].reverse() },
    ]),
    h("p", {}, h("button", { type: "submit", disabled: options.length < 2 }, "Compare")),
    options.length < 2 ? h("p", { class: "muted" }, "Two frozen releases are needed.") : null,
    h("div", { class: "result" }),
  );
}

async function freeze(values) {
  if (!values.batches?.length) throw new Error("Choose at least one batch.");
  const { release, job } = await api.post("releases/", values);
  const line = $("#create .job");
  const ended = await watchJob(job.id, (now) => fill(line, jobLine(now)));
  await list();
  if (ended.state !== "done") return toast(ended.error || "The release could not be frozen.", "bad");
  return open(release.id);
}

async function open(id) {
  const row = await api.get(`releases/${id}/`);
  const files = await api.all(`releases/${id}/files/`, 2000);
  const verify = h("button", { type: "button" }, "Verify the hashes");
  verify.addEventListener("click", () => busy(verify, () => check(id)));
  fill(
    $("#one"),
    h("h2", {}, `${row.kind} release ${row.id} `, stateOf(row.state)),
    facts([
      ["Rows", number(row.rows)],
      ["Batches", batchNames(row) || "–"],
      ["Simulated answers", row.include_simulated ? "included" : "left out"],
      ["Layouts on fallback depth", row.include_fallback_layout ? "included" : "left out"],
      ["Least rating", number(row.min_rating)],
    ]),
    Object.keys(row.counts ?? {}).length ? h("p", { class: "small" }, counts(row.counts)) : null,
    row.sha256 ? h("p", {}, "Manifest sha256 ", h("code", {}, row.sha256)) : null,
    h("p", { class: "row" }, verify, h("span", { id: "verified", "aria-live": "polite" })),
    ...loading(row),
    table(
      "Files",
      [
        ["Name", (file) => h("a", { href: file.url, download: file.name.split("/").at(-1) }, file.name)],
        ["Size", (file) => size(file.size)],
        ["sha256", (file) => h("code", {}, file.sha256.slice(0, 16))],
      ],
      files,
    ),
  );
  $("#one").hidden = false;
  $("#one").scrollIntoView({ block: "nearest" });
}

/** The lines that load it, as the server knows them. */
function loading(row) {
  if (!row.load) return row.job?.error ? [h("p", { class: "bad" }, row.job.error)] : [];
  return [
    h("h3", {}, "Load it"),
    h("p", { class: "small" }, "With the files below in one folder of that name, keeping their paths:"),
    ...Object.entries(row.load).flatMap(([library, lines]) => [h("h4", {}, library), h("pre", {}, lines)]),
  ];
}

async function check(id) {
  const job = await api.post(`releases/${id}/verify/`);
  const line = $("#verified");
  const ended = await watchJob(job.id, (now) => fill(line, jobLine(now)));
  if (ended.state === "done") fill(line, h("span", { class: "good" }, ended.message || "Every hash and row agrees."));
}

async function compare({ one, other }) {
  const reply = await api.get(`releases/${one}/compare/${other}/`);
  fill($("#comparison .result"), facts(Object.entries(reply).map(([name, value]) => [name.replaceAll("_", " "), typeof value === "object" && value ? counts(value) : number(value)])));
}

onSubmit($("#create"), freeze);
onSubmit($("#comparison"), compare);
list().catch(complain);
