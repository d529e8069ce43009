// The first page: takes the next task and goes to its page; who has no tasks finds the pages of the role.

import * as api from "../api.js";
import { pageOf } from "../queue.js";
import { $, busy, complain, fill, h, me } from "./ui.js";
import { outbox } from "./session.js";

const DOES_TASKS = ["annotator", "artist"];

async function take() {
  await outbox.flush();
  $("#message").textContent = "Looking for work…";
  const found = await api.post("next/", me.role === "artist" ? { stage: "art" } : {});
  if (found) {
    window.location.assign(pageOf(found));
    return;
  }
  $("#message").textContent = "Nothing to do right now. New work appears here when candidates are ready.";
  $("#take").hidden = false;
  $("#take").textContent = "Look again";
}

$("#take").addEventListener("click", () => busy($("#take"), take));
if (DOES_TASKS.includes(me.role)) {
  take().catch((problem) => {
    $("#message").textContent = problem.message;
    $("#take").hidden = false;
    complain(problem);
  });
} else {
  const works = ["reviewer", "admin"].includes(me.role);
  $("#message").textContent = works ? "Take a task as an annotator does, or go on with your own pages." : "Your pages:";
  $("#take").hidden = !works;
}
const links = [...document.querySelectorAll("header nav a")].filter((link) => link.pathname !== "/");
fill($("#links"), h("h2", {}, "Pages"), h("ul", {}, ...links.map((link) => h("li", {}, h("a", { href: link.pathname }, link.textContent)))));
