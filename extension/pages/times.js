// Times as people say them.

import { language, words } from "../lib/words.js";

const UNITS = /** @type {const} */ ([
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
]);
const LONG_AGO_S = 7 * 86_400;

/**
 * How long ago it was; after a week the date.
 *
 * @param {Date} moment
 * @param {Date} [now]
 * @returns {string}
 */
export function ago(moment, now = new Date()) {
  const seconds = (now.getTime() - moment.getTime()) / 1000;
  if (seconds >= LONG_AGO_S) {
    return moment.toLocaleDateString(language(), { dateStyle: "medium" });
  }
  const [unit, size] = UNITS.find(([, least]) => seconds >= least) ?? [null, 1];
  if (unit === null) {
    return words("time_now");
  }
  const format = new Intl.RelativeTimeFormat(language(), { style: "short", numeric: "always" });
  return format.format(-Math.floor(seconds / size), unit);
}

/** The whole date and time. @param {Date} moment @returns {string} */
export function exactly(moment) {
  return moment.toLocaleString(language(), { dateStyle: "full", timeStyle: "short" });
}
