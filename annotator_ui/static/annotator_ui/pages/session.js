// Who works here: the answers that wait for the server, and the login that can end in the middle of work.

import * as api from "../api.js";
import { Outbox } from "../outbox.js";
import { Store } from "../store.js";
import { t } from "../words.js";
import { $, fields, fill, h, me, onSubmit, status } from "./ui.js";

// One tab of this browser sends at a time. Without a secure context there are no locks; keys keep answers single there.
const alone = (work) => (navigator.locks ? navigator.locks.request("maquette.outbox", work) : work());

/** How many answers wait, in words. */
export function keptText(n) {
  return n === 1 ? t("1 answer kept here, waiting for the server") : t("{n} answers kept here, waiting for the server", { n });
}

export const outbox = new Outbox({
  store: new Store(window.indexedDB),
  user: me.name,
  old: window.localStorage,
  send: (path, body) => api.post(path, body, { login: false }),
  alone,
  onChange(waiting, problem) {
    if (!waiting) return status("");
    if (problem?.status === 401) logIn(problem);
    status(keptText(waiting));
  },
});

let asking = null;

/** The login has ended: ask for it in place. Resolves with true when the same person is back, false when put off. */
export function logIn(problem) {
  asking ||= askToLogIn(problem).finally(() => {
    asking = null;
  });
  return asking;
}

function askToLogIn(problem) {
  return new Promise((resolve) => {
    const wrong = h("p", { class: "problem", role: "alert" });
    const form = h(
      "form",
      { class: "form" },
      ...fields([
        { name: "username", label: t("User name"), value: me.name, autocomplete: "username", autocapitalize: "none", required: true },
        { name: "password", label: t("Password"), type: "password", autocomplete: "current-password", required: true, autofocus: true },
      ]),
      wrong,
      h("p", { class: "row" }, h("button", { class: "primary", type: "submit" }, t("Log in")), h("button", { type: "button", onclick: () => close(false) }, t("Not now"))),
    );
    const other = problem?.code === "other_person";
    const title = other ? t("Somebody else is logged in now") : t("Your login has ended");
    const text = other ? problem.message : t("Log in to go on where you are. Nothing is lost: your answers are kept on this machine.");
    const dialog = h("dialog", { "aria-label": title, class: "login-again" }, h("h2", {}, title), h("p", {}, text), form);
    const close = (back) => {
      dialog.close();
      dialog.remove();
      resolve(back);
    };
    dialog.addEventListener("cancel", () => close(false));
    onSubmit(form, async (given) => {
      fill(wrong);
      const found = await api.post("session/", given, { login: false }).catch((refusal) => fill(wrong, refusal.message) && null);
      if (!found) return $("[name=password]", form).select();
      if (String(found.id) !== me.id) return window.location.reload();
      close(true);
      outbox.flush();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

api.configure({ expired: logIn });
window.addEventListener("online", () => outbox.flush());
// What an earlier page left is sent by whatever page opens next.
outbox.flush();
