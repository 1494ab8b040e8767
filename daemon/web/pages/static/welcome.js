// The samples of the welcome: each is checked when its button is pressed.

import { change } from "./asking.js";
import { _ } from "./i18n.js";
import { drawn, finished } from "./verdicts.js";

for (const button of document.querySelectorAll("[data-sample]")) {
  const place = button.closest("li").querySelector("[data-answer]");
  button.addEventListener("click", () => check(button, place));
}

async function check(button, place) {
  const tell = (cause) => (place.textContent = cause ? `${cause} …` : _("Checking …"));
  button.setAttribute("aria-busy", "true");
  tell(null);
  try {
    const first = await change("/changes/welcome/sample", { name: button.dataset.sample });
    const answer = await finished(first, tell);
    place.replaceChildren(...drawn(answer.verdict));
  } catch (error) {
    place.textContent = error.message;
  } finally {
    button.removeAttribute("aria-busy");
  }
}
