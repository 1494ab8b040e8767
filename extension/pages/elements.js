// Makes elements of the extension's pages. Text goes in as text, never as markup.

import { language, words } from "../lib/words.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. `on` has listeners by event; true and false set and leave out an attribute.
 *
 * @param {string} name
 * @param {Record<string, any>} [attributes]
 * @param {...(Node|string|null)} children
 * @returns {HTMLElement}
 */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  const { on = {}, ...others } = attributes;
  setAttributes(made, others);
  for (const [event, listener] of Object.entries(on)) {
    made.addEventListener(event, listener);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** @param {Element} made @param {Record<string, any>} attributes */
function setAttributes(made, attributes) {
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(attribute, value === true ? "" : String(value));
    }
  }
}

/** @param {string} text @param {() => void} act @param {string} [kind] */
export function button(text, act, kind = "button") {
  return element("button", { type: "button", class: kind, on: { click: act } }, text);
}

/** Puts the words and the language of the extension into a page: its elements name their keys. */
export function translate() {
  document.documentElement.lang = language();
  document.documentElement.dir = words("@@bidi_dir");
  for (const one of document.querySelectorAll("[data-words]")) {
    one.textContent = words(/** @type {HTMLElement} */ (one).dataset.words ?? "");
  }
  for (const one of document.querySelectorAll("[data-label]")) {
    one.setAttribute("aria-label", words(/** @type {HTMLElement} */ (one).dataset.label ?? ""));
  }
}

/** @param {string} id @returns {HTMLElement} */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`no element ${id}`);
  }
  return found;
}

/** @type {Record<string, [string, Record<string, any>][]>} */
const SIGNS = {
  made: [["path", { d: "M10 1.6 18.4 10 10 18.4 1.6 10Z" }]],
  real: [["circle", { cx: 10, cy: 10, r: 7.8 }]],
  unsure: [
    ["rect", { x: 2.4, y: 2.4, width: 15.2, height: 15.2, rx: 2.4 }],
    ["path", { class: "inner", d: "M7.7 8.1a2.3 2.3 0 1 1 3.4 2c-.8.4-1.1.9-1.1 1.7" }],
    ["circle", { class: "dot", cx: 10, cy: 14.5, r: 1.05 }],
  ],
  failed: [["circle", { cx: 10, cy: 10, r: 7.8, "stroke-dasharray": "3.1 3.03" }]],
  good: [
    ["circle", { cx: 10, cy: 10, r: 8 }],
    ["path", { d: "m6.3 10.3 2.6 2.6 4.8-5.4" }],
  ],
  busy: [
    ["circle", { cx: 10, cy: 10, r: 8 }],
    ["path", { d: "M10 5.4V10l3.2 2" }],
  ],
  right: [["path", { d: "m3.6 10.6 4.3 4.3 8.5-9.8" }]],
  waiting: [
    ["circle", { cx: 10, cy: 10, r: 7.8 }],
    ["path", { class: "inner", d: "M10 5.8V10l2.9 1.9" }],
  ],
  bad: [
    ["path", { d: "M10 2 18.6 17.4H1.4Z" }],
    ["path", { d: "M10 7.6v4.2M10 14.5v.1" }],
  ],
};

/** The sign of a verdict: filled if the words leave out "likely". */
export function shape(/** @type {string} */ tone, isSolid = false) {
  return drawn(`shape ${tone}${isSolid ? " solid" : ""}`, tone);
}

/** The sign of a state: good, busy or bad. @param {string} state */
export function sign(state) {
  return drawn("sign", state);
}

/** @param {string} kind @param {string} name */
function drawn(kind, name) {
  const svg = document.createElementNS(SVG, "svg");
  setAttributes(svg, { class: kind, viewBox: "0 0 20 20", "aria-hidden": "true" });
  for (const [tag, attributes] of SIGNS[name]) {
    const part = document.createElementNS(SVG, tag);
    setAttributes(part, attributes);
    svg.append(part);
  }
  return svg;
}
