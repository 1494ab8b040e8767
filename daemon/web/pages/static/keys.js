// Single keys, as in the list that "?" shows. Users who dictate can switch them off there.
// Ignored while the user types, and in a dialog.

const KEPT = "antifake.keys";
const help = document.getElementById("help");
const toggle = document.getElementById("keys-on");

/** @param {Object<string, () => void>} keys  the action of each key on this page */
export function listen(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (!toggle.checked || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

export function start() {
  toggle.checked = localStorage.getItem(KEPT) !== "off";
  toggle.addEventListener("change", () => {
    localStorage.setItem(KEPT, toggle.checked ? "on" : "off");
  });
  document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());
  listen({ "?": () => help.showModal() });
}
