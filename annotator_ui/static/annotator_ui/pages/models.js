// Models: checkpoints with their cards, training runs on releases, evaluations side by side, promotion and roll-back.

import * as api from "../api.js";
import { number, words } from "../format.js";
import { $, ask, busy, complain, fields, fill, h, jobLine, onSubmit, stateOf, table, toast } from "./ui.js";

const WATCH_MS = 3000;
const STAGES = [["sft", "SFT"], ["dpo", "DPO"]];
let checkpoints = [];
let runs = [];

const nameOf = (checkpoint) => checkpoint?.name ?? "–";

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
      "Checkpoints",
      [
        ["Name", (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => openCard(row.id)) }, row.name)],
        ["From", (row) => nameOf(row.parent)],
        ["Run", (row) => (row.run ? `${row.run.stage} run ${row.run.id}` : "–")],
        ["Simulated or synthetic data", (row) => (row.simulated_data ? "yes" : "no")],
        ["Proposes", (row) => (row.promoted ? h("strong", { class: "good" }, "yes") : "no")],
        ["", (row) => (row.promoted ? "" : button("Promote", () => promote(row)))],
      ],
      checkpoints,
      "No checkpoint yet.",
    ),
    checkpoints.length ? h("p", {}, button("Roll back to the checkpoint before", rollBack)) : null,
  );
}

function button(label, action, kind = "") {
  const made = h("button", { type: "button", class: kind }, label);
  made.addEventListener("click", () => busy(made, action));
  return made;
}

async function promote(row) {
  const answer = await ask(`Promote ${row.name}?`, "The next candidates will come from it.", [["yes", "Promote", "primary"], [null, "Leave it"]]);
  if (answer !== "yes") return;
  await api.post(`checkpoints/${row.id}/promote/`);
  toast(`${row.name} proposes from now on.`);
  await load();
}

async function rollBack() {
  const answer = await ask("Roll back?", "The checkpoint that proposed before proposes again.", [["yes", "Roll back", "primary"], [null, "Leave it"]]);
  if (answer !== "yes") return;
  await api.post("checkpoints/demote/");
  toast("Rolled back.");
  await load();
}

async function openCard(id) {
  const row = await api.get(`checkpoints/${id}/`);
  fill(
    $("#card"),
    heading(row.name),
    card(row.card ?? {}),
    row.config ? h("details", {}, h("summary", {}, "Configuration"), h("pre", {}, JSON.stringify(row.config, null, 2))) : null,
  );
  $("#card").hidden = false;
  $("#card").scrollIntoView({ block: "nearest" });
}

function heading(...parts) {
  return h("h2", { class: "row" }, ...parts, h("button", { type: "button", class: "plain", onclick: () => ($("#card").hidden = true) }, "Close"));
}

/** A card as a table of names and values; nested parts as small text. */
function card(values) {
  const cell = (value) => {
    if (typeof value === "number") return number(value, 4);
    if (value && typeof value === "object") return h("code", {}, JSON.stringify(value));
    return String(value ?? "–");
  };
  return table("Card", [["", ([name]) => words(name)], [" ", ([, value]) => cell(value)]], Object.entries(values), "This checkpoint has no card.");
}

async function loadRuns() {
  runs = await api.all("runs/");
  fill(
    $("#runs"),
    table(
      "Training runs",
      [
        ["Run", (row) => h("button", { type: "button", class: "plain", onclick: () => busy(null, () => openRun(row.id)) }, `run ${row.id}`)],
        ["Stage", (row) => row.stage],
        ["Recipe", (row) => row.recipe],
        ["Releases", (row) => row.releases.join(", ")],
        ["From", (row) => nameOf(row.init)],
        ["State", (row) => h("span", {}, stateOf(row.state), row.error ? h("span", { class: "bad small" }, ` ${row.error.split("\n")[0]}`) : null)],
        ["Progress", (row) => (row.job && row.state === "running" ? jobLine(row.job) : row.checkpoints.map(nameOf).join(", "))],
      ],
      runs,
      "No training run yet.",
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
    heading(`${run.stage} run ${run.id} `, stateOf(run.state)),
    run.error ? h("p", { class: "bad" }, run.error) : null,
    table("Log", names.map((name) => [words(name), (row) => number(row[name], 4)]), rows, "Nothing logged yet."),
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
      "Evaluations",
      [
        ["Checkpoint", (row) => nameOf(row.checkpoint)],
        ["Against", (row) => nameOf(row.against)],
        ["On", (row) => (row.release ? `release ${row.release}` : "synthetic scenes")],
        ...names.map((name) => [words(name), (row) => metric(row.metrics, name)]),
        ["State", (row) => (row.job ? stateOf(row.job.state) : "–")],
      ],
      rows,
      "Nothing evaluated yet.",
    ),
  );
}

/** A figure of the checkpoint, with that of the one it is held against under it. */
function metric(metrics, name) {
  const other = metrics.against?.[name];
  return h("span", {}, number(metrics[name]), other === undefined ? null : h("span", { class: "small" }, h("br"), `against ${number(other)}`));
}

async function drawForms() {
  const releases = (await api.all("releases/")).filter((row) => row.state === "frozen");
  const releaseName = (row) => `${row.kind} ${row.id} (${number(row.rows)} rows)`;
  const known = checkpoints.map((row) => [row.id, row.name]);
  fill(
    $("#train"),
    ...fields([
      { name: "stage", label: "Stage", type: "select", options: STAGES },
      { name: "recipe", label: "Recipe", type: "select", options: [["tiny", "tiny (minutes on a CPU)"], ["small", "small"], ["full", "full"]] },
      { name: "releases", label: "Releases", type: "choices", options: releases.map((row) => [row.id, releaseName(row)]), hint: "Freeze a release first." },
      { name: "init", label: "Start from", type: "select", options: [...known, ["", "nothing"]] },
      { name: "steps", label: "Steps", type: "number", min: 1, max: 1_000_000, value: 100 },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, "Start")),
  );
  fill(
    $("#evaluate"),
    ...fields([
      { name: "checkpoint", label: "Checkpoint", type: "select", options: known },
      { name: "against", label: "Against", type: "select", options: [["", "nothing"], ...known] },
      { name: "release", label: "On", type: "select", options: [["", "synthetic scenes"], ...releases.map((row) => [row.id, releaseName(row)])] },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, "Evaluate")),
  );
}

const idOrNull = (value) => (value === "" || value === undefined ? null : Number(value));

async function train(values) {
  if (!values.releases?.length) throw new Error("Choose at least one release.");
  await api.post("runs/", { ...values, init: idOrNull(values.init) });
  toast("The training run is queued.");
  await loadRuns();
}

async function evaluate({ checkpoint, against, release }) {
  await api.post("evaluations/", { checkpoint: Number(checkpoint), against: idOrNull(against), release: idOrNull(release) });
  toast("The evaluation is queued.");
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
