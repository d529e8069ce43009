// The first page: what is found again (in hand, put aside, sent back, not delivered), then the next task.
// Who has nothing of that goes straight to work; who has no tasks finds the pages of the role.

import * as api from "../api.js";
import { when, words } from "../format.js";
import { pageOf } from "../queue.js";
import { t } from "../words.js";
import { outbox } from "./session.js";
import { $, busy, complain, fill, h, me } from "./ui.js";

const DOES_TASKS = ["annotator", "artist"];
const stays = new URLSearchParams(window.location.search).has("stay");

async function take() {
  $("#message").textContent = t("Looking for work…");
  const found = await api.post("next/", me.role === "artist" ? { stage: "art" } : {}).catch((problem) => {
    if (problem.code !== "practice_first") throw problem;
    window.location.assign("/practice/");
    return undefined;
  });
  if (found === undefined) return;
  if (found) {
    window.location.assign(pageOf(found));
    return;
  }
  $("#message").textContent = t("Nothing to do right now. New work appears here when candidates are ready.");
  $("#take").hidden = false;
  $("#take").textContent = t("Look again");
}

/** Go on with work that was found again. */
const CONTINUE = {
  live: async (row) => window.location.assign(pageOf({ id: row.assignment, stage: row.stage })),
  postponed: async (row) => window.location.assign(pageOf(await api.post(`assignments/${row.assignment}/resume/`))),
  returned: async (row) =>
    window.location.assign(pageOf(row.assignment ? { id: row.assignment, stage: row.stage } : await api.post("next/", { task: row.task }))),
};

function list(title, rows, how) {
  if (!rows.length) return null;
  return h("section", { class: "card", "data-list": how }, h("h2", {}, title), h("ul", { class: "found" }, ...rows.map((row) => line(row, how))));
}

function line(row, how) {
  const name = row.object.category || t("object {id}", { id: row.object.id });
  const facts = [words(row.stage), row.batch.name, when(row.at)];
  const button = h("button", { type: "button", onclick: () => busy(button, () => CONTINUE[how](row)) }, t("Continue"));
  return h(
    "li",
    {},
    h("img", { src: row.object.photo_url, alt: "", loading: "lazy" }),
    h(
      "div",
      {},
      h("strong", { translate: "no" }, name),
      h("p", { class: "small", translate: "no" }, facts.join(" · ")),
      how === "returned" && row.note ? h("p", { class: "warn" }, t("Reviewer: {note}", { note: row.note })) : null,
      how === "postponed" && row.reason ? h("p", {}, t("Your note: {note}", { note: row.reason })) : null,
    ),
    button,
  );
}

/** Answers that the server refused after their page was closed: nothing is thrown away unread. */
function undelivered(rows) {
  if (!rows.length) return null;
  const item = (row) => {
    const read = async () => {
      await outbox.dismiss(row.id);
      await draw();
    };
    const button = h("button", { type: "button", onclick: () => busy(button, read) }, t("I have read it"));
    return h(
      "li",
      {},
      h(
        "div",
        {},
        h("p", {}, t("The answer of {at} could not be delivered: {message}", { at: when(row.at), message: row.message })),
        h("p", { class: "small" }, t("The server keeps what it can of it as a draft of that object.")),
        h("details", {}, h("summary", {}, t("The answer")), h("pre", {}, JSON.stringify(row.body, null, 1))),
      ),
      button,
    );
  };
  return h("section", { class: "card", "data-list": "undelivered" }, h("h2", {}, t("Answers that could not be delivered")), h("ul", { class: "found" }, ...rows.map(item)));
}

/** Draw the lists; true when there is something in them. */
async function draw() {
  const [work, refused] = await Promise.all([api.get("work/"), outbox.undelivered().catch(() => [])]);
  // Work in hand is no reason to stop: the next task is that very one. It is shown to whom stays here.
  const shown = [
    undelivered(refused),
    list(t("Sent back to you"), work.returned, "returned"),
    list(t("Put aside"), work.postponed, "postponed"),
    stays || work.returned.length || work.postponed.length ? list(t("In your hands"), work.live, "live") : null,
  ].filter(Boolean);
  fill($("#found"), ...shown);
  return shown.length > 0;
}

async function start() {
  await outbox.flush();
  const worker = [...DOES_TASKS, "reviewer", "admin"].includes(me.role);
  const found = worker && (await draw());
  if (DOES_TASKS.includes(me.role) && !found && !stays) return take();
  if (DOES_TASKS.includes(me.role)) $("#message").textContent = found ? t("Go on with what is here, or take the next task.") : t("Take the next task when you like.");
  else $("#message").textContent = worker ? t("Take a task as an annotator does, or go on with your own pages.") : t("Your pages:");
  $("#take").hidden = !worker;
  if (worker) $("#take").focus();
  return undefined;
}

$("#take").addEventListener("click", () => busy($("#take"), take));
start().catch((problem) => {
  $("#message").textContent = problem.message;
  $("#take").hidden = false;
  complain(problem);
});
const links = [...document.querySelectorAll("header nav a")].filter((link) => link.pathname !== "/");
fill($("#links"), h("h2", {}, t("Pages")), h("ul", {}, ...links.map((link) => h("li", {}, h("a", { href: link.pathname }, link.textContent)))));
