import js from "@eslint/js";
import globals from "globals";

const strict = {
  ...js.configs.recommended.rules,
  curly: "error",
  eqeqeq: "error",
  "no-implied-eval": "error",
  "no-eval": "error",
  "no-var": "error",
  "prefer-const": "error",
  "no-shadow": "error",
  "no-unused-vars": ["error", { ignoreRestSiblings: true, caughtErrors: "none" }],
  complexity: ["error", 12],
  "max-lines-per-function": ["error", { max: 45, skipComments: true, skipBlankLines: true }],
  // What a page could be harmed by. Texts of pages and pictures are shown by textContent only.
  "no-restricted-properties": [
    "error",
    { property: "innerHTML" },
    { property: "outerHTML" },
    { property: "insertAdjacentHTML" },
    { object: "document", property: "write" },
  ],
};

export default [
  {
    files: ["**/background/**/*.js", "**/lib/**/*.js"],
    languageOptions: { globals: { ...globals.serviceworker, ...globals.webextensions } },
    rules: strict,
  },
  {
    files: ["**/pages/**/*.js"],
    languageOptions: { globals: { ...globals.browser, ...globals.webextensions } },
    rules: strict,
  },
  {
    files: ["**/content/**/*.js"],
    languageOptions: {
      sourceType: "script",
      globals: { ...globals.browser, ...globals.webextensions },
    },
    // Drawing and keys are long lists of short cases.
    rules: {
      ...strict,
      complexity: ["error", 20],
      "max-lines-per-function": ["error", { max: 100, skipComments: true, skipBlankLines: true }],
      "no-shadow": "off",
    },
  },
  {
    files: ["**/unit/**/*.mjs"],
    languageOptions: { globals: { ...globals.node, chrome: "readonly" } },
    rules: { ...strict, "max-lines-per-function": "off" },
  },
];
