// The words of the extension. They are in _locales only.

/**
 * The text of a key. Missing keys are shown as they are, so that they are noticed.
 *
 * @param {string} key
 * @param {...(string|number)} values For $1, $2 and so on.
 * @returns {string}
 */
export function words(key, ...values) {
  return chrome.i18n.getMessage(key, values.map(String)) || key;
}

/**
 * The text for a number: the key followed by `_one`, `_few`, `_many` or `_other`, as the language
 * needs; the number is $1.
 *
 * @param {string} key
 * @param {number} n
 * @param {...(string|number)} values For $2 and so on.
 * @returns {string}
 */
export function count(key, n, ...values) {
  const rule = new Intl.PluralRules(language()).select(n);
  const written = [n.toLocaleString(language()), ...values.map(String)];
  return chrome.i18n.getMessage(`${key}_${rule}`, written) || words(`${key}_other`, ...written);
}

/** The language of the words. The browser may have another, if there are none in it. */
export function language() {
  return words("language");
}
