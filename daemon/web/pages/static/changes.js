// Forms and buttons that change something. data-change is the address; data-body or the fields are
// the body; data-then names the parts to render again; data-confirm is a dialog that asks first.

import { change } from "./asking.js";
import { refreshAll, showing } from "./pieces.js";
import { say } from "./toast.js";

export function start() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-change]");
    if (!form) return;
    event.preventDefault();
    send(form, fields(form));
  });
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.change && (await isSure(button))) {
      send(button, JSON.parse(button.dataset.body || "{}"));
    }
  });
}

/** Ask in a dialog. Returns whether the user said yes. */
export function confirmed(id, words = {}) {
  const dialog = document.getElementById(id);
  for (const [name, text] of Object.entries(words)) {
    for (const place of dialog.querySelectorAll(`[data-${name}]`)) place.textContent = text;
  }
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "yes"), { once: true });
  });
}

const isSure = ({ dataset }) =>
  dataset.confirm ? confirmed(dataset.confirm, { what: dataset.what, asks: dataset.asks }) : true;

async function send(source, body) {
  complain(source, "");
  const buttons = source.matches("form") ? [...source.querySelectorAll("button")] : [source];
  for (const one of buttons) one.setAttribute("aria-busy", "true");
  try {
    const { said } = await change(source.dataset.change, body);
    if (source.dataset.go) return location.assign(source.dataset.go);
    if (said) say(said);
    if ("clear" in source.dataset) source.reset();
    const then = source.dataset.then?.split(" ") ?? [];
    await refreshAll([...new Set([...then, ...showing("state"), ...showing("watch")])]);
  } catch (error) {
    complain(source, error.message);
  } finally {
    for (const one of buttons) one.removeAttribute("aria-busy");
  }
}

/** Show the sentence beside the field, if there is a place for it, and lead the user there. */
export function complain(source, sentence, takesFocus = true) {
  const place = source.querySelector("[data-error]");
  if (!place) return sentence && say(sentence, { isError: true });
  place.textContent = sentence;
  const field = source.querySelector(`[aria-describedby~="${place.id}"]`);
  field?.toggleAttribute("aria-invalid", false);
  if (sentence) {
    field?.setAttribute("aria-invalid", "true");
    if (takesFocus) field?.focus();
  }
}

function fields(form) {
  const body = form.dataset.name ? { name: form.dataset.name } : {};
  for (const field of form.elements) {
    if (field.name) body[field.name] = field.type === "checkbox" ? field.checked : field.value;
  }
  return body;
}
