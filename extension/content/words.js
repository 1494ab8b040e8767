// The words of the card, of pick mode and of the marks, from _locales.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.words) {
    return;
  }

  const { i18n } = chrome;
  const language = i18n.getMessage("language") || "en";
  const plurals = new Intl.PluralRules(language);

  /** @param {string} key @param {...(string|number)} values @returns {string} */
  function say(key, ...values) {
    return i18n.getMessage(key, values.map(String)) || key;
  }

  /**
   * @param {string} key
   * @param {number} n its first placeholder, which decides the form
   * @returns {string}
   */
  function count(key, n) {
    return i18n.getMessage(`${key}_${plurals.select(n)}`, [String(n)]) || say(`${key}_other`, n);
  }

  antifake.words = Object.freeze({
    say,
    count,
    language,
    direction: i18n.getMessage("card_direction") === "rtl" ? "rtl" : "ltr",
  });
})();
