// The keyboard shortcut, and where each browser has it changed.

import { words } from "../lib/words.js";
import { button, element } from "./elements.js";

const CHROMIUM_PAGE = "chrome://extensions/shortcuts";

/** @param {HTMLElement} place */
export async function showShortcut(place) {
  const key = (await chrome.commands.getAll()).find((one) => one.name === "pick")?.shortcut;
  const shown = key ? element("kbd", {}, key) : element("b", {}, words("shortcut_none"));
  place.replaceChildren(shown, element("p", {}, words("shortcut_pick")), change());
}

/** Firefox has a function for it; Chromium lets extensions open the page. */
function change() {
  const { openShortcutSettings } = /** @type {any} */ (chrome.commands);
  const open = openShortcutSettings ?? (() => chrome.tabs.create({ url: CHROMIUM_PAGE }));
  return button(words("shortcut_change"), () => open.call(chrome.commands));
}
