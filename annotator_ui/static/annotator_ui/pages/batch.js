// One batch: its counts, photos in, candidates proposed, every object and its jobs as they fill in.

import * as api from "../api.js";
import { counts, number, when, words } from "../format.js";
import { t } from "../words.js";
import { anchorChoice } from "./anchors.js";
import { named } from "./names.js";
import { drawPhoto, loadImage, stencil } from "./photo.js";
import { importReport } from "./report.js";
import { selected, selecting } from "./select_settings.js";
import { $, ask, busy, complain, facts, fields, fill, h, jobLine, me, onSubmit, stateOf, table, toast, watchJob } from "./ui.js";

const WATCH_MS = 4000;
const LIMIT = 60;
const id = Number($("#name").dataset.batch);
const tiles = new Map();
let batch = null;
let following = null;

async function load() {
  batch = await api.get(`batches/${id}/`);
  fill($("#name"), named(batch.name), " ", stateOf(batch.state));
  drawFacts();
}

function drawFacts() {
  const { stages, samples, ...plain } = batch.counts;
  fill(
    $("#facts"),
    facts([
      ...["objects", "candidates", "waiting", "open", "done", "escalated"].map((name) => [words(name), number(plain[name] ?? 0)]),
      [words("samples"), typeof samples === "object" ? counts(samples) : number(samples ?? 0)],
      ["N", number(batch.n_candidates)],
      [t("bar α"), number(batch.alpha)],
      [t("overlap"), number(batch.overlap)],
      [t("protocol"), batch.protocol === "grid" ? t("grid") : t("king of the hill")],
      [t("judged"), batch.judges === "texture" ? t("texture") : t("shape")],
      [t("scale"), batch.scale.length ? named(batch.scale.map(({ r, label }) => `${r} ${label}`).join(" · ")) : t("slider")],
    ]),
    stages && Object.keys(stages).length ? h("p", { class: "small" }, t("Tasks: {counts}", { counts: counts(stages) })) : null,
  );
}

function drawActions() {
  const progress = h("div", { "aria-live": "polite" });
  const form = h(
    "form",
    { class: "form" },
    h("label", {}, t("Photo or ZIP"), h("input", { type: "file", name: "file", required: true, accept: "image/*,.zip" }), h("span", { class: "hint" }, t("A photo, or a ZIP of photos with masks (STEM.mask_NAME.png), depth, pointmaps, cameras beside them."))),
    ...fields([
      { name: "licence", label: t("Licence"), maxlength: 100 },
      { name: "attribution", label: t("Attribution"), maxlength: 2000 },
      { name: "consent", label: t("Consent"), maxlength: 200, hint: t("What the people shown agreed to, for photos whose manifest does not say.") },
    ]),
    h("p", {}, h("button", { class: "primary", type: "submit" }, t("Upload"))),
    progress,
  );
  onSubmit(form, () => upload(form, progress));
  fill(
    $("#actions"),
    h("div", { class: "card" }, h("h2", {}, t("Photos in")), form),
    h("div", { class: "card" }, h("h2", {}, t("Work")), h("div", { class: "row", id: "work-buttons" }), settings(), artCases(), anchorChoice(batch)),
  );
  drawButtons();
}

async function upload(form, progress) {
  const body = new FormData(form);
  body.set("batch", id);
  const bar = h("progress", { max: 1, value: 0 });
  fill(progress, h("p", { class: "row small" }, t("Uploading"), bar));
  const job = await api.upload("imports/images/", body, (part) => (bar.value = part)).catch((problem) => {
    fill(progress);
    throw problem;
  });
  const ended = await watchJob(job.id, (now) => fill(progress, jobLine(now)));
  fill(progress, importReport(ended));
  form.reset();
  await refresh();
}

function drawButtons() {
  const paused = batch.state === "paused";
  const button = (label, action, kind = "") => {
    const made = h("button", { type: "button", class: kind }, label);
    made.addEventListener("click", () => busy(made, action));
    return made;
  };
  fill(
    $("#work-buttons"),
    h("a", { class: "button", href: `/review/?batch=${id}` }, t("Review answers")),
    button(t("Propose candidates"), propose, "primary"),
    button(paused || batch.state === "closed" ? t("Resume") : t("Pause"), () => change({ state: batch.state === "open" ? "paused" : "open" })),
    button(t("Retry failed jobs"), retry),
  );
}

async function propose() {
  const { jobs } = await api.post(`batches/${id}/propose/`);
  toast(jobs ? t("{n} jobs queued.", { n: number(jobs) }) : t("Nothing to propose: every object has its candidates or no mask yet."));
  await refresh();
}

async function change(values) {
  batch = await api.patch(`batches/${id}/`, values);
  toast(t("Changed."));
  await load();
  drawButtons();
}

async function retry() {
  const objects = await api.all(`batches/${id}/objects/`, 10_000);
  const failed = objects.flatMap((row) => row.failed_jobs);
  for (const job of failed) await api.post(`jobs/${job}/retry/`);
  toast(failed.length ? t("{n} jobs queued again.", { n: failed.length }) : t("No job has failed."));
  await refresh();
}

function settings() {
  const form = h(
    "form",
    { class: "form" },
    ...fields([
      { name: "alpha", label: t("Bar α"), type: "number", min: 0, max: 1, step: 0.05, value: batch.alpha },
      { name: "n_candidates", label: t("Candidates per object (N)"), type: "number", min: 2, max: 50, value: batch.n_candidates },
      { name: "priority", label: t("Priority"), type: "number", min: -1000, max: 1000, value: batch.priority },
      { name: "asks_review", label: t("Answers wait for a reviewer"), type: "checkbox", value: batch.asks_review },
      { name: "allows_neither", label: t("Allow “neither is usable”"), type: "checkbox", value: batch.allows_neither },
      ...selecting(batch),
      { name: "instructions", label: t("Instructions"), type: "textarea", value: batch.instructions },
    ]),
    h("p", {}, h("button", { type: "submit" }, t("Save"))),
  );
  onSubmit(form, (wanted) => change(selected(wanted)));
  return h("details", {}, h("summary", {}, t("Settings")), form);
}

/** Escalated objects of this batch become cases for the artists, in an Art-3DO batch of their own. */
function artCases() {
  const form = h(
    "form",
    { class: "form" },
    ...fields([
      { name: "name", label: t("Name of the Art-3DO batch"), required: true, maxlength: 60, pattern: "[A-Za-z0-9_\\-]+" },
      { name: "count", label: t("At most this many, evenly over the reasons"), type: "number", min: 1, max: 10_000 },
    ]),
    h("p", {}, h("button", { type: "submit" }, t("Hand escalated objects to the artists"))),
  );
  onSubmit(form, async (wanted) => {
    const made = await api.post(`batches/${id}/curate/`, wanted);
    toast(t("{n} cases in the batch {name}.", { n: number(made.cases), name: made.name }));
    await refresh();
  });
  return h("details", {}, h("summary", {}, t("Art cases")), form);
}

/** Objects as tiles; those on the page keep their picture when the figures move on. */
async function refresh() {
  await load();
  const page = await api.get(`batches/${id}/objects/?limit=${LIMIT}`);
  const section = $("#objects");
  if (!tiles.size) fill(section, h("h2", {}, t("Objects")), h("div", { class: "tiles" }));
  const grid = $(".tiles", section);
  if (grid)
    for (const row of page.results) {
      if (!tiles.has(row.id)) grid.append(tile(row));
      describe(row);
    }
  if (!page.results.length) fill(section, h("h2", {}, t("Objects")), h("p", { class: "muted" }, t("No objects yet: upload photos with masks, or photos alone to have masks drawn.")));
  else more(section, page.next);
  return page.results.some((row) => row.jobs.queued + row.jobs.running > 0);
}

function more(section, next) {
  $(".more", section)?.remove();
  following ??= next;
  if (!following) return;
  const button = h("button", { type: "button", class: "more" }, t("More objects"));
  button.addEventListener("click", () =>
    busy(button, async () => {
      const page = await api.get(api.withQuery(`batches/${id}/objects/?limit=${LIMIT}`, { cursor: following }));
      for (const row of page.results) {
        if (!tiles.has(row.id)) $(".tiles", section).append(tile(row));
        describe(row);
      }
      following = page.next ?? "";
      if (!following) button.remove();
    }),
  );
  section.append(button);
}

function tile(row) {
  const canvas = h("canvas", { role: "img", translate: "no", "aria-label": row.name || t("object") });
  const text = h("div", {});
  const element = h("article", { class: "tile" }, canvas, text);
  tiles.set(row.id, { element, text });
  const seen = new IntersectionObserver(([entry]) => {
    if (!entry.isIntersecting) return;
    seen.disconnect();
    picture(canvas, row).catch(() => canvas.setAttribute("aria-label", t("The photo cannot be loaded.")));
  });
  seen.observe(canvas);
  return element;
}

async function picture(canvas, row) {
  if (row.removed) return;
  const [photo, mask] = await Promise.all([loadImage(row.photo_url), row.mask_url ? loadImage(row.mask_url) : null]);
  drawPhoto(canvas, photo, mask && stencil(mask));
}

function describe(row) {
  const { element, text } = tiles.get(row.id);
  if (row.removed) $("canvas", element)?.remove();
  const { queued, running, failed } = row.jobs;
  const waits = t("{running} running, {queued} queued", { running, queued });
  const stages = Object.entries(row.stage_states).map(([stage, state]) => `${words(stage)} ${words(state)}`);
  fill(
    text,
    h("strong", { translate: "no" }, row.name || row.category || t("object {id}", { id: row.id })),
    h("br"),
    t("{ready} of {n} candidates", { ready: row.candidates_ready, n: batch.n_candidates }),
    queued + running ? h("span", { class: "muted" }, ` · ${waits}`) : null,
    failed ? h("button", { type: "button", class: "plain bad", onclick: () => busy(null, () => why(row)) }, t("{failed} failed: why?", { failed })) : null,
    h("br"),
    h("span", { class: "muted" }, stages.join(", ")),
    row.removed ? h("span", { class: "bad" }, " · ", t("photo removed on request")) : null,
    me.role === "admin" && !row.removed ? h("button", { type: "button", class: "plain", onclick: () => busy(null, () => removePhoto(row)) }, t("Remove photo")) : null,
    row.rejected && !row.removed ? h("span", { class: "bad" }, " · ", t("mask rejected: {reason}", { reason: words(row.rejected) })) : null,
  );
}

/** Take a photo out for good, after asking why; names the releases that hold it. */
async function removePhoto(row) {
  const reason = h("textarea", { rows: 3, maxlength: 2000, id: "removal-reason" });
  const erase = h("input", { type: "checkbox", id: "removal-erase" });
  const form = [
    h("label", { for: "removal-reason" }, t("Reason"), reason),
    h("label", { class: "check", for: "removal-erase" }, erase, t("Also delete its bytes, unless a release in the store holds it")),
  ];
  const text = t("Its tasks end, no later release holds it, and the same file is not imported again. This cannot be undone.");
  const choices = [[null, t("Cancel")], ["remove", t("Remove photo"), "primary"]];
  if ((await ask(t("Remove this photo?"), text, choices, [h("div", { class: "form" }, ...form)])) !== "remove") return;
  const done = await api.post(`images/${row.image_id}/remove/`, { reason: reason.value, erase: erase.checked });
  const held = done.releases.map((each) => h("li", { translate: "no" }, `${each.kind} ${each.id} · ${each.sha256.slice(0, 12)} · ${number(each.rows)}`));
  const said = held.length ? t("These frozen releases hold it and stay as they are:") : t("No release holds it.");
  await ask(t("The photo is removed."), said, [[null, t("Close"), "primary"]], [h("ul", {}, ...held)]);
  await refresh();
}

/** What the failed jobs of an object said. */
async function why(row) {
  const jobs = await Promise.all(row.failed_jobs.map((job) => api.get(`jobs/${job}/`)));
  const errors = [...new Set(jobs.map((job) => job.error))];
  await ask(t("{name}: failed jobs", { name: row.name || t("object") }), null, [[null, t("Close"), "primary"]], [h("ul", {}, ...errors.map((error) => h("li", {}, error)))]);
}

const RUNS_WORK = ["reviewer", "admin"];

/** What people reported and nobody has settled. */
async function problems() {
  const rows = await api.all(`batches/${id}/problems/`, 200);
  const settle = (row) => {
    const done = async () => {
      await api.post(`problems/${row.id}/settle/`);
      await problems();
    };
    const button = h("button", { type: "button", onclick: () => busy(button, done) }, t("Settled"));
    return button;
  };
  const columns = [
    [t("Object"), (row) => named(`${row.object.category || row.object.name || t("object")} ${row.object.id}`)],
    [t("What"), (row) => words(row.kind)],
    [t("Note"), (row) => named(row.note)],
    [t("Stage"), (row) => words(row.stage)],
    [t("By"), (row) => named(row.user)],
    [t("At"), (row) => when(row.at)],
    ["", settle],
  ];
  fill($("#problems"), rows.length ? table(t("Reported problems"), columns, rows) : null);
}

async function watch() {
  for (;;) {
    await new Promise((done) => setTimeout(done, WATCH_MS));
    if (!document.hidden) await refresh().catch((problem) => problem.status && complain(problem));
  }
}

load()
  .then(() => {
    if (me.role === "admin") drawActions();
    if (RUNS_WORK.includes(me.role)) problems().catch(complain);
    return refresh();
  })
  .then(watch)
  .catch(complain);
