// The instructions of the batch, in a drawer at the side: fetched once per version, opened by itself when they are new.

import * as api from "../api.js";
import { when } from "../format.js";
import { t } from "../words.js";
import { fill, h, me } from "./ui.js";

const fetched = new Map();
let drawer = null;

function get(batch) {
  const address = api.withQuery(`batches/${batch.id}/instructions/`, { version: batch.instructions_version });
  if (!fetched.has(address)) {
    const coming = api.get(address);
    coming.catch(() => fetched.delete(address));
    fetched.set(address, coming);
  }
  return fetched.get(address);
}

const seenName = (batch) => `maquette.instructions.${me.name}.${batch.id}`;

/** Show the drawer by itself when this version is new to the person. */
export async function offerInstructions(batch) {
  hideInstructions();
  if (!batch.instructions_version || Number(window.localStorage.getItem(seenName(batch))) >= batch.instructions_version) return;
  await showInstructions(batch, { takesFocus: false });
}

export async function toggleInstructions(batch) {
  if (drawer && !drawer.hidden) hideInstructions();
  else await showInstructions(batch);
}

export function hideInstructions() {
  if (drawer) drawer.hidden = true;
}

async function showInstructions(batch, { takesFocus = true } = {}) {
  const found = batch.instructions_version ? await get(batch) : null;
  if (!drawer) {
    drawer = h("aside", { class: "drawer", id: "drawer", "aria-label": t("Instructions"), hidden: true, tabindex: "-1" });
    drawer.addEventListener("keydown", (event) => event.key === "Escape" && hideInstructions());
    document.body.append(drawer);
  }
  const body = h("div", { class: "prose" });
  // Made by the server from Markdown without HTML; see backend/catalog/markdown.py.
  body.innerHTML = found?.html ?? "";
  fill(
    drawer,
    h("p", { class: "row" }, h("strong", {}, t("Instructions")), h("button", { type: "button", class: "plain", onclick: hideInstructions }, t("Close"))),
    found ? h("p", { class: "small" }, t("Version {version}, {at}", { version: found.version, at: when(found.at) })) : h("p", { class: "muted" }, t("This batch has no instructions.")),
    body,
  );
  drawer.hidden = false;
  if (takesFocus) drawer.focus();
  if (found) window.localStorage.setItem(seenName(batch), String(found.version));
}
