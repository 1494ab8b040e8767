// Messages in the person's language, as core/i18n.py has them; English is what the code says.
// Placeholders are {names}. A message is a plain literal, never one with ${}.

import { messages, plurals } from "./messages.js"; // made by antifake, see pages/messages.py

const PLACEHOLDER = /\{(\w+)\}/g;

/** @param {string} message  @param {Object<string, string|number>} [values] */
export function _(message, values = {}) {
  return filled(messages[message]?.[0] ?? message, message, values);
}

/** Returns the form that fits a number, which fills {n}. */
export function ngettext(one, many, n, values = {}) {
  const english = n === 1 ? one : many;
  // The forms of numbers depend on their last two digits.
  const form = plurals[n < plurals.length ? n : 100 + (n % 100)];
  return filled(messages[one]?.[form] ?? english, english, { n, ...values });
}

/** A translation with other placeholders must not cost the person the message. */
function filled(text, english, values) {
  const isComplete = [...text.matchAll(PLACEHOLDER)].every(([, name]) => name in values);
  return (isComplete ? text : english).replace(PLACEHOLDER, (whole, name) => values[name] ?? whole);
}
