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

const batchNames = (row) => (row.batches ?? []).map((batch) => batch.name ?? batch).join(", ");

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
  const ended = job ? await watchJob(job.id ?? job, (now) => fill(line, jobLine(now))) : null;
  if (ended?.state === "failed") return toast(ended.error || "The release could not be frozen.", "bad");
  await list();
  return open(release.id ?? release);
}

async function open(id) {
  const row = await api.get(`releases/${id}/`);
  const files = await api.all(`releases/${id}/files/`, 2000).catch(() => []);
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
    h("h3", {}, "Load it"),
    h("p", { class: "small" }, "With the files below in the folder ", h("code", {}, `release_${row.id}`), ":"),
    h("pre", {}, loading(row)),
    table(
      "Files",
      [
        ["Name", (file) => h("a", { href: `/api/v1/releases/${id}/files/${file.name}`, download: file.name }, file.name)],
        ["Size", (file) => size(file.size)],
        ["sha256", (file) => h("code", {}, (file.sha256 ?? "").slice(0, 16))],
      ],
      files,
    ),
  );
  $("#one").hidden = false;
  $("#one").scrollIntoView({ block: "nearest" });
}

/** The three lines: the index as a table, the shards as samples. */
function loading(row) {
  if (row.loading) return Array.isArray(row.loading) ? row.loading.join("\n") : row.loading;
  return [
    "import datasets, glob, webdataset",
    `rows = datasets.load_dataset("parquet", data_files="release_${row.id}/index.parquet", split="train")`,
    `samples = webdataset.WebDataset(sorted(glob.glob("release_${row.id}/*.tar")), shardshuffle=False).decode("pil")`,
  ].join("\n");
}

async function check(id) {
  const reply = await api.post(`releases/${id}/verify/`);
  const line = $("#verified");
  if (reply?.job) {
    const ended = await watchJob(reply.job.id ?? reply.job, (now) => fill(line, jobLine(now)));
    if (ended.state !== "done") return;
  }
  fill(line, h("span", { class: "good" }, "Every hash and row agrees."));
}

async function compare({ one, other }) {
  const reply = await api.get(`releases/${one}/compare/${other}/`);
  fill($("#comparison .result"), facts(Object.entries(reply).map(([name, value]) => [name.replaceAll("_", " "), typeof value === "object" && value ? counts(value) : number(value)])));
}

onSubmit($("#create"), freeze);
onSubmit($("#comparison"), compare);
list().catch(complain);
