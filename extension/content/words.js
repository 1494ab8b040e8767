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

  /** @param {string} key @param {number} count its first placeholder @param {...(string|number)} rest */
  function count(key, count, ...rest) {
    const form = `${key}_${plurals.select(count)}`;
    return (
      i18n.getMessage(form, [count, ...rest].map(String)) || say(`${key}_other`, count, ...rest)
    );
  }

  antifake.words = Object.freeze({
    say,
    count,
    language,
    direction: i18n.getMessage("card_direction") === "rtl" ? "rtl" : "ltr",
  });
})();
