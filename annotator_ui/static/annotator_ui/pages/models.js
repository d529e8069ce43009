// Models: checkpoints with their cards, training runs on releases, evaluations side by side, promotion and roll-back.

import * as api from "../api.js";
import { number, words } from "../format.js";
import { t } from "../words.js";
import { named } from "./names.js";
import { $, ask, busy, complain, fields, fill, h, jobLine, onSubmit, stateOf, table, toast } from "./ui.js";

const WATCH_MS = 3000;
const STAGES = [["sft", "SFT"], ["dpo", "DPO"]];
let checkpoints = [];
let runs = [];

const nameOf = (checkpoint) => named(checkpoint?.name ?? "–");

async function load() {
  checkpoints = await api.all("checkpoints/");
  await Promise.all([loadRuns(), loadEvaluations()]);
  drawCheckpoints();
  await drawForms();
}

function drawCheckpoints() {
  fill(
    $("#checkpoints"),
    table(
      t("Checkpoints"),
      [
        [t("Name"), (row) => h("button", { type: "button", class: "plain", translate: "no", onclick: () => busy(null, () => openCard(row.id)) }, row.name)],
        [t("From"), (row) => nameOf(row.parent)],
        [t("Run"), (row) => (row.run ? t("{stage} run {id}", { stage: words(row.run.stage), id: row.run.id }) : "–")],
        [t("Simulated or synthetic data"), (row) => (row.simulated_data ? t("yes") : t("no"))],
        [t("Proposes"), (row) => (row.promoted ? h("strong", { class: "good" }, t("yes")) : t("no"))],
        ["", (row) => (row.promoted ? "" : button(t("Promote"), () => promote(row)))],
      ],
      checkpoints,
      t("No checkpoint yet."),
    ),
    checkpoints.length ? h("p", {}, button(t("Roll back to the checkpoint before"), rollBack)) : null,
  );
}

function button(label, action, kind = "") {
  const made = h("button", { type: "button", class: kind }, label);
  made.addEventListener("click", () => busy(made, action));
  return made;
}

async function promote(row) {
  const answer = await ask(t("Promote {name}?", { name: row.name }), t("The next candidates will come from it."), [[t("yes"), t("Promote"), "primary"], [null, t("Leave it")]]);
  if (answer !== t("yes")) return;
  await api.post(`checkpoints/${row.id}/promote/`);
  toast(t("{name} proposes from now on.", { name: row.name }));
  await load();
}

async function rollBack() {
  const answer = await ask(t("Roll back?"), t("The checkpoint that proposed before proposes again."), [[t("yes"), t("Roll back"), "primary"], [null, t("Leave it")]]);
  if (answer !== t("yes")) return;
  await api.post("checkpoints/demote/");
  toast(t("Rolled back."));
  await load();
}

async function openCard(id) {
  const row = await api.get(`checkpoints/${id}/`);
  fill(
    $("#card"),
    heading(named(row.name)),
    card(row.card ?? {}),
    row.config ? h("details", {}, h("summary", {}, t("Configuration")), h("pre", {}, JSON.stringify(row.config, null, 2))) : null,
  );
  $("#card").hidden = false;
  $("#card").scrollIntoView({ block: "nearest" });
}

function heading(...parts) {
  return h("h2", { class: "row" }, ...parts, h("button", { type: "button", class: "plain", onclick: () => ($("#card").hidden = true) }, t("Close")));
}

/** A card as a table of names and values; nested parts as small text. */
function card(values) {
  const cell = (value) => {
    if (typeof value === "number") return number(value, 4);
    if (value && typeof value === "object") return h("code", {}, JSON.stringify(value));
    return String(value ?? "–");
  };
  return table(t("Card"), [["", ([name]) => named(words(name))], [" ", ([, value]) => named(cell(value))]], Object.entries(values), t("This checkpoint has no card."));
}

async function loadRuns() {
  runs = await api.all("runs/");
  fill(
    $("#runs"),
    table(
      t("Training runs"),
      [
        [t("Run"), (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => openRun(row.id)) }, t("run {id}", { id: row.id }))],
        [t("Stage"), (row) => words(row.stage)],
        [t("Recipe"), (row) => words(row.recipe)],
        [t("Releases"), (row) => row.releases.join(", ")],
        [t("From"), (row) => nameOf(row.init)],
        [t("State"), (row) => h("span", {}, stateOf(row.state), row.error ? h("span", { class: "bad small" }, ` ${row.error.split("\n")[0]}`) : null)],
        [t("Progress"), (row) => (row.job && row.state === "running" ? jobLine(row.job) : named(row.checkpoints.map(({ name }) => name).join(", ")))],
      ],
      runs,
      t("No training run yet."),
    ),
  );
}

/** Metrics of a run by step, thinned to what a table can hold. */
async function openRun(id) {
  const run = await api.get(`runs/${id}/`);
  const every = Math.ceil(run.log.length / 20) || 1;
  const rows = run.log.filter((_, at) => at % every === 0 || at === run.log.length - 1);
  const names = [...new Set(["step", "loss", ...rows.flatMap(Object.keys)])];
  fill(
    $("#card"),
    heading(t("{stage} run {id}", { stage: words(run.stage), id: run.id }), " ", stateOf(run.state)),
    run.error ? h("p", { class: "bad" }, run.error) : null,
    table(t("Log"), names.map((name) => [named(words(name)), (row) => number(row[name], 4)]), rows, t("Nothing logged yet.")),
  );
  $("#card").hidden = false;
  $("#card").scrollIntoView({ block: "nearest" });
}

async function loadEvaluations() {
  const rows = await api.all("evaluations/");
  const figures = rows.flatMap((row) => Object.entries(row.metrics).filter(([, value]) => typeof value === "number"));
  const names = [...new Set(figures.map(([name]) => name))].sort();
  fill(
    $("#evaluations"),
    table(
      t("Evaluations"),
      [
        [t("Checkpoint"), (row) => nameOf(row.checkpoint)],
        [t("Against"), (row) => nameOf(row.against)],
        [t("On"), (row) => (row.release ? t("release {id}", { id: row.release }) : t("synthetic scenes"))],
        ...names.map((name) => [named(words(name)), (row) => metric(row.metrics, name)]),
        [t("State"), (row) => (row.job ? stateOf(row.job.state) : "–")],
      ],
      rows,
      t("Nothing evaluated yet."),
    ),
  );
}

/** A figure of the checkpoint, with that of the one it is held against under it. */
function metric(metrics, name) {
  const other = metrics.against?.[name];
  return h("span", {}, number(metrics[name]), other === undefined ? null : h("span", { class: "small" }, h("br"), t("against {n}", { n: number(other) })));
}

async function drawForms() {
  const releases = (await api.all("releases/")).filter((row) => row.state === "frozen");
  const releaseName = (row) => t("{kind} {id} ({n} rows)", { kind: words(row.kind), id: row.id, n: number(row.rows) });
  const known = checkpoints.map((row) => [row.id, row.name]);
  fill(
    $("#train"),
    ...fields([
      { name: "stage", label: t("Stage"), type: "select", options: STAGES },
      { name: "recipe", label: t("Recipe"), type: "select", options: [["tiny", t("tiny (minutes on a CPU)")], ["small", t("small")], ["full", t("full")]] },
      { name: "releases", label: t("Releases"), type: "choices", options: releases.map((row) => [row.id, releaseName(row)]), hint: t("Freeze a release first.") },
      { name: "init", label: t("Start from"), type: "select", translate: "no", options: [...known, ["", t("nothing")]] },
      { name: "steps", label: t("Steps"), type: "number", min: 1, max: 1_000_000, value: 100 },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Start"))),
  );
  fill(
    $("#evaluate"),
    ...fields([
      { name: "checkpoint", label: t("Checkpoint"), type: "select", translate: "no", options: known },
      { name: "against", label: t("Against"), type: "select", translate: "no", options: [["", t("nothing")], ...known] },
      { name: "release", label: t("On"), type: "select", options: [["", t("synthetic scenes")], ...releases.map((row) => [row.id, releaseName(row)])] },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Evaluate"))),
  );
}

const idOrNull = (value) => (value === "" || value === undefined ? null : Number(value));

async function train(values) {
  if (!values.releases?.length) throw new Error(t("Choose at least one release."));
  await api.post("runs/", { ...values, init: idOrNull(values.init) });
  toast(t("The training run is queued."));
  await loadRuns();
}

async function evaluate({ checkpoint, against, release }) {
  await api.post("evaluations/", { checkpoint: Number(checkpoint), against: idOrNull(against), release: idOrNull(release) });
  toast(t("The evaluation is queued."));
  await loadEvaluations();
}

/** While something runs its figures move; a run that ends brings a checkpoint. */
async function watch() {
  for (;;) {
    await new Promise((done) => setTimeout(done, WATCH_MS));
    if (document.hidden) continue;
    const before = runs.filter((row) => ["queued", "running"].includes(row.state)).length;
    try {
      if (before) await loadRuns();
      await loadEvaluations();
      if (before > runs.filter((row) => ["queued", "running"].includes(row.state)).length) {
        checkpoints = await api.all("checkpoints/");
        drawCheckpoints();
        await drawForms();
      }
    } catch (problem) {
      console.info("not refreshed:", problem.message);
    }
  }
}

onSubmit($("#train"), train);
onSubmit($("#evaluate"), evaluate);
load().then(watch).catch(complain);
