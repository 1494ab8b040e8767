// The settings: each is stored when it is changed.

import { loadSettings, saveSettings } from "../lib/storage.js";
import { words } from "../lib/words.js";
import { element } from "./elements.js";

/** @typedef {import("../lib/storage.js").Settings} Settings */

/**
 * @param {HTMLElement} checking Where the settings of checking go.
 * @param {HTMLElement} sent Where those of what the history learns go.
 */
export async function showSettings(checking, sent) {
  const settings = await loadSettings();
  checking.replaceChildren(
    choice("linked", ["ask", "yes", "no"], settings),
    toggle("menuOnPicturesOnly", "menu_on_pictures_only", settings),
  );
  sent.replaceChildren(
    choice("sendPage", ["host", "address", "no"], settings),
    toggle("sendTitle", "send_title", settings),
  );
}

/**
 * One of several. @param {"linked"|"sendPage"} name @param {string[]} values
 * @param {Settings} settings
 */
function choice(name, values, settings) {
  const key = { linked: "linked", sendPage: "send_page" }[name];
  const options = values.map((value) => {
    const given = { type: "radio", name, value, checked: settings[name] === value };
    const change = () => saveSettings({ [name]: value });
    return labelled(element("input", { ...given, on: { change } }), `setting_${key}_${value}`);
  });
  return element(
    "fieldset",
    { class: "setting" },
    element("legend", { class: "away" }, words(`setting_${key}`)),
    about(key),
    element("div", {}, ...options),
  );
}

/**
 * Yes or no. @param {"menuOnPicturesOnly"|"sendTitle"} name @param {string} key
 * @param {Settings} settings
 */
function toggle(name, key, settings) {
  const input = element("input", { type: "checkbox", name, checked: settings[name] });
  input.addEventListener("change", () =>
    saveSettings({ [name]: /** @type {HTMLInputElement} */ (input).checked }),
  );
  const box = labelled(input, `setting_${key}_on`);
  return element("div", { class: "setting" }, about(key), element("div", {}, box));
}

/** @param {string} key */
function about(key) {
  return element(
    "div",
    { class: "about" },
    element("span", { class: "title", "aria-hidden": "true" }, words(`setting_${key}`)),
    element("p", {}, words(`setting_${key}_hint`)),
  );
}

/** @param {HTMLElement} input @param {string} key */
function labelled(input, key) {
  return element("label", { class: "check" }, input, element("span", {}, words(key)));
}
