// The settings: each is saved when it is changed, and can be undone by the button or Ctrl+Z.

import { change, json } from "./asking.js";
import { complain } from "./changes.js";
import { sure } from "./confirming.js";
import { _ } from "./i18n.js";
import { listen } from "./keys.js";
import { on } from "./live.js";
import { say } from "./toast.js";

const forms = [...document.querySelectorAll("form[data-setting]")];
/** What can be undone, the latest last. */
const saved = [];
/** Changes are sent one after another, so that the last one counts. */
let turn = Promise.resolve();

for (const form of forms) {
  form.addEventListener("change", () => put(form, typed(form)));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.querySelector("[data-reset]").addEventListener("click", () => {
    field(form).focus(); // the button hides itself
    put(form, "");
  });
}
listen({ z: undo });
on("settings", renew);
reveal();

function put(form, value, isUndo = false) {
  turn = turn.then(() => send(form, value, isUndo));
}

async function send(form, value, isUndo) {
  const shown = typed(form);
  try {
    const body = { name: form.dataset.setting, value };
    const now = await sure((confirmation) => change("/changes/setting", body, confirmation));
    if (!now) return show(form, (await json("/settings/values"))[body.name]);
    complain(form, "");
    if (typed(form) === shown) show(form, now); // else the user types on
    const canUndo = now.is_changed && !isUndo;
    if (canUndo) saved.push({ form, value: now.before });
    const done = isUndo ? _("Undone.") : _("Saved.");
    say(`${done} ${now.said}`, { undo: canUndo ? undo : undefined });
  } catch (error) {
    complain(form, error.message, false);
  }
}

function undo() {
  const last = saved.pop();
  if (!last) return say(_("There is nothing to undo."));
  last.form.closest("details")?.setAttribute("open", "");
  field(last.form).focus();
  put(last.form, last.value, true);
}

/** Show what another page or program has changed. What is being typed stays. */
async function renew() {
  const values = await json("/settings/values").catch(() => ({}));
  for (const form of forms) {
    const now = values[form.dataset.setting];
    const isBusy = field(form) === document.activeElement || field(form).ariaInvalid === "true";
    if (now && !isBusy) show(form, now);
  }
}

/** An address may name a setting that is folded away. */
function reveal() {
  const named = location.hash && document.getElementById(location.hash.slice(1));
  if (!named || !named.closest("details:not([open])")) return;
  named.closest("details").open = true;
  named.scrollIntoView();
}

function show(form, { value, is_default: isDefault }) {
  const at = field(form);
  if (at.type === "checkbox") at.checked = value === "true";
  else if (at.value !== value) at.value = value;
  form.querySelector(".default").hidden = isDefault;
}

const field = (form) => form.querySelector("input, select");
const typed = (form) => (field(form).type === "checkbox" ? `${field(form).checked}` : field(form).value);
