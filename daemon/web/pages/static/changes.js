// Forms and buttons that change something. data-change is the address; data-body or the fields are
// the body; data-then names the parts to render again.

import { change } from "./asking.js";
import { sure } from "./confirming.js";
import { refreshAll, showing } from "./pieces.js";
import { say } from "./toast.js";

export function start() {
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-change]");
    if (!form) return;
    event.preventDefault();
    send(form, fields(form));
  });
  document.addEventListener("click", ({ target }) => {
    const button = target.closest("button[data-change]");
    if (button) send(button, JSON.parse(button.dataset.body || "{}"));
  });
}

async function send(source, body) {
  complain(source, "");
  const buttons = source.matches("form") ? [...source.querySelectorAll("button")] : [source];
  for (const one of buttons) one.setAttribute("aria-busy", "true");
  try {
    const done = await sure((confirmation) => change(source.dataset.change, body, confirmation));
    if (!done) return;
    const { said } = done;
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
