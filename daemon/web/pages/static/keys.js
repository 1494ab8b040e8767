// Single keys, as in the list that "?" shows. Users who dictate can switch them off there, except
// Escape and Ctrl+Z.
// Ignored while the user types, and in a dialog.

const KEPT = "antifake.keys";
const help = document.getElementById("help");
const toggle = document.getElementById("keys-on");

/** @param {Object<string, () => void>} keys  the action of each key on this page */
export function listen(keys) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select")) return;
    const act = keys[nameOf(event)];
    if (!act || isScrolling(event)) return;
    event.preventDefault();
    act();
  });
}

/** Arrow keys move a picture that is larger than its stage. */
const isScrolling = ({ key, target }) => key.startsWith("Arrow") && Boolean(target.closest?.(".zoomed .stage"));

/** Returns the name of the key; "" if it is not for us. Ctrl+Z, or Cmd+Z, is z. */
function nameOf({ key, ctrlKey, metaKey, altKey, shiftKey }) {
  if (altKey) return "";
  if (ctrlKey || metaKey) return key.toLowerCase() === "z" && !shiftKey ? "z" : "";
  return key === "Escape" || toggle.checked ? key : "";
}

export function start() {
  toggle.checked = localStorage.getItem(KEPT) !== "off";
  toggle.addEventListener("change", () => {
    localStorage.setItem(KEPT, toggle.checked ? "on" : "off");
  });
  document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());
  listen({ "?": () => help.showModal() });
}
