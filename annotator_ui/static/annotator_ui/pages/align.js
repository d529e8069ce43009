// Align: the tools of AlignStage on the desk's own object; drafts, the lease, and the answer.

import * as api from "../api.js";
import { ALIGN } from "../keys.js";
import { isSame } from "../poses.js";
import { MeshShelf } from "../scene/meshes.js";
import { t } from "../words.js";
import { AlignStage } from "./align_stage.js";
import { BeforeAfter } from "./before_after.js";
import { Desk } from "./desk.js";
import { $, ask, bindKeys, busy, complain, fill, h, keyButton, listKeys, needsWebGL, toast } from "./ui.js";

const DRAFT_MS = 3000;
const shelf = new MeshShelf(api.bytes);
const desk = new Desk({ stage: "align", open, keep: saveDraft, prefetched: (urls) => urls.forEach((url) => shelf.get(url).catch(() => {})) });
const stage = needsWebGL(
  () =>
    new AlignStage($("#stage"), {
      shelf,
      table: ALIGN,
      antialias: new URLSearchParams(window.location.search).get("aa") !== "0",
      changed: saveDraftSoon,
      submit: () => busy($("#submit"), submit),
      fit: (body) => api.post(`assignments/${desk.assignment.id}/fit/`, { fence: desk.assignment.fence, ...body }).catch(lostToo),
    }),
);
let draftTimer = 0;

async function open(assignment) {
  const { object, align, draft } = assignment;
  clearTimeout(draftTimer);
  draftTimer = 0;
  $("#submit").disabled = true;
  await stage.open({ object, candidate: align.candidate, draft });
  $("#submit").disabled = false;
  shelf.keep([align.candidate.model_url]);
}

function lostToo(problem) {
  if (problem.code === "lease_lost") desk.lost();
  throw problem;
}

/** Draft to the server every few seconds while the pose changes; a lost lease is told at once. */
function saveDraftSoon() {
  draftTimer ||= setTimeout(() => saveDraft().catch(() => {}), DRAFT_MS);
}

async function saveDraft() {
  clearTimeout(draftTimer);
  draftTimer = 0;
  if (!stage.opened) return;
  const { id, fence } = desk.assignment;
  desk.started = true;
  await api.put(`assignments/${id}/draft/`, { fence, draft: stage.state() }, { keepalive: true }).catch((problem) => {
    if (problem.code === "lease_lost") desk.lost();
    throw problem;
  });
}

async function submit() {
  const { iou, depth } = stage.measure();
  const { R, t: at, s } = stage.pose;
  clearTimeout(draftTimer);
  draftTimer = 0;
  try {
    const body = { R, t: at, s, iou, depth_residual: depth, version: desk.assignment.align.version };
    if (!(await desk.answer("alignment", body))) return;
    stage.opened = null;
    toast(t("Alignment stored."));
    await desk.next();
  } catch (problem) {
    if (problem.status !== 412) throw problem;
    await conflict(problem);
  }
}

/** Somebody stored another pose meanwhile: theirs or mine, never silently one of them. */
async function conflict(problem) {
  const theirs = problem.fields.pose;
  if (theirs && isSame(theirs, stage.pose)) return desk.next();
  const picture = h("div", {});
  const compared = new BeforeAfter(picture, { before: t("Stored: {name}", { name: problem.fields.by ?? "" }), after: t("Yours") });
  const { opened } = stage;
  compared.show({ ...opened, before: theirs, after: stage.pose });
  compared.setMode("beside");
  const choice = await ask(
    t("Another pose was stored meanwhile"),
    t("Compare both over the photo, then choose."),
    [
      ["mine", t("Store mine as the newer version"), "primary"],
      ["theirs", t("Leave the stored one and go on")],
      [null, t("Go on editing")],
    ],
    [picture],
  );
  compared.dispose();
  if (choice === "theirs") return desk.next();
  if (choice !== "mine") return undefined;
  desk.assignment.align.version = problem.fields.current;
  return submit();
}

fill(
  $("#edits"),
  h("button", { type: "button", onclick: () => desk.skip() }, t("Skip…")),
  h("button", { type: "button", onclick: () => desk.escalate() }, t("To the artists…")),
);
fill($("#store"), keyButton(ALIGN, "submit", t("Store the alignment"), () => stage.act("submit"), { class: "primary", id: "submit", disabled: true }));
bindKeys(() => ALIGN, (action, hit) => ($("#veil").hidden ? stage.act(action, hit) : undefined));
document.addEventListener("keyup", () => stage.release());
document.addEventListener("visibilitychange", () => document.hidden && draftTimer && saveDraft().catch(complain));
desk.start();
listKeys(ALIGN);
