// Releases: freeze, look into, compare, download, and the three lines that load one.

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
        [t("State"), (row) => stateOf(row.state)],
        [t("Rows"), (row) => number(row.rows)],
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

async function drawForms() {
  const batches = await api.all("batches/");
  const create = $("#create");
  fill(
    create,
    ...fields([
      { name: "kind", label: t("Kind"), type: "select", options: [["sft", t("SFT: accepted samples")], ["dpo", t("DPO: preference pairs")]] },
      { name: "batches", label: t("Batches"), type: "choices", options: batches.map((batch) => [batch.id, named(batch.name)]), hint: t("There is no batch yet.") },
      { name: "min_rating", label: t("Least rating"), type: "number", min: 0, max: 1, step: 0.05, value: 0 },
      { name: "include_simulated", label: t("Include answers of simulated annotators"), type: "checkbox" },
      { name: "include_fallback_layout", label: t("Include layouts placed on fallback depth"), type: "checkbox" },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Freeze"))),
    h("div", { class: "job", "aria-live": "polite" }),
  );
  const options = releases.filter((row) => row.state === "frozen").map((row) => [row.id, t("{kind} {id} ({n} rows)", { kind: words(row.kind), id: row.id, n: number(row.rows) })]);
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

async function freeze(values) {
  if (!values.batches?.length) throw new Error(t("Choose at least one batch."));
  const { release, job } = await api.post("releases/", values);
  const line = $("#create .job");
  const ended = await watchJob(job.id, (now) => fill(line, jobLine(now)));
  await list();
  if (ended.state !== "done") return toast(ended.error || t("The release could not be frozen."), "bad");
  return open(release.id);
}

async function open(id) {
  const row = await api.get(`releases/${id}/`);
  const files = await api.all(`releases/${id}/files/`, 2000);
  const verify = h("button", { type: "button" }, t("Verify the hashes"));
  verify.addEventListener("click", () => busy(verify, () => check(id)));
  fill(
    $("#one"),
    h("h2", {}, t("{kind} release {id}", { kind: words(row.kind), id: row.id }), " ", stateOf(row.state)),
    facts([
      [t("Rows"), number(row.rows)],
      [t("Batches"), named(batchNames(row) || "–")],
      [t("Simulated answers"), row.include_simulated ? t("included") : t("left out")],
      [t("Layouts on fallback depth"), row.include_fallback_layout ? t("included") : t("left out")],
      [t("Least rating"), number(row.min_rating)],
    ]),
    Object.keys(row.counts ?? {}).length ? h("p", { class: "small" }, counts(row.counts)) : null,
    row.sha256 ? h("p", {}, t("Manifest sha256"), " ", h("code", {}, row.sha256)) : null,
    h("p", { class: "row" }, verify, h("span", { id: "verified", "aria-live": "polite" })),
    ...loading(row),
    table(
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

/** The lines that load it, as the server knows them. */
function loading(row) {
  if (!row.load) return row.job?.error ? [h("p", { class: "bad" }, row.job.error)] : [];
  return [
    h("h3", {}, t("Load it")),
    h("p", { class: "small" }, t("With the files below in one folder of that name, keeping their paths:")),
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

onSubmit($("#create"), freeze);
onSubmit($("#comparison"), compare);
list().catch(complain);
