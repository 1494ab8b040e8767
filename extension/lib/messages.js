// Every message inside the extension: its name, who sends it and which fields it has.
//
// The worker checks what it receives against this table. Messages never come from pages or from
// other extensions: there is no listener for those.
//
// How a check runs: the content script sends "picture.check" and gets an Outcome.
// - "bytes": it tries the ways in their order and sends "picture.check" again with `bytes` from
//   the first way that works. If none did, it sends the last way with `base64: null`. For "screen"
//   `base64` is always null: the worker makes the copy.
// - "ask": it shows the choices. After "yes" or "no" it sends the check again with that word in
//   `answers.linked`; after "screen" it sends it with the way "screen"; any other id is sent as the
//   action of "problem.act".
// - "waiting": it sends "picture.poll" with the same `seen`.
// - "problem": the action of its button goes into "problem.act".

/**
 * @typedef {"image"|"background"|"canvas"|"video"|"poster"|"svg"} Kind
 * @typedef {{width: number, height: number}} Size CSS pixels, or pixels of the picture.
 * @typedef {{x: number, y: number, width: number, height: number}} Rect In the top viewport.
 * @typedef {"page"|"canvas"|"screen"} Way How a content script can get bytes.
 * @typedef {{way: Way, base64: string|null, isLarger?: boolean}} Bytes isLarger: of `larger`.
 * @typedef {"file"|"larger"|"linked"|"preview"|"canvas"|"copy"|"frame"|"screen"} Seen What was judged.
 *
 * @typedef {object} Picture
 * @property {Kind} kind
 * @property {string|null} url Address of what is shown: http(s), data or blob.
 * @property {string|null} larger The largest rendition in the same srcset or `<picture>`.
 * @property {string|null} linked A picture file that a link around it leads to.
 * @property {Size} shown
 * @property {Size|null} natural
 * @property {Rect|null} rect Null if unknown, because of a frame of another origin.
 * @property {number} ratio devicePixelRatio
 *
 * @typedef {object} Done
 * @property {"done"} state
 * @property {string} id
 * @property {"made"|"real"|"unsure"|"failed"} tone
 * @property {string} word
 * @property {string} sure
 * @property {{text: string, lang: string}[]} lines
 * @property {string} seen
 * @property {{label: string, isNearCopy: boolean}|null} said
 * @property {boolean} canCorrect
 * @property {boolean} canUndo
 * @property {boolean} isPrivate
 *
 * @typedef {{state: "waiting", id: string, text: string, seen: Seen}} Waiting
 * @typedef {{state: "bytes", ways: Way[]}} WantBytes
 * @typedef {{state: "ask", question: "linked"|"permission", text: string, reason: string,
 *   choices: {id: string, text: string}[]}} Ask
 * @typedef {{action: string, text: string}} Button
 * @typedef {{state: "problem", cause: string, text: string, button: Button|null}} Problem
 * @typedef {Done|Waiting|WantBytes|Ask|Problem} Outcome
 */

/** @typedef {(value: unknown) => boolean} Check */

const MOST_URL = 64 * 1024;
const MOST_DATA = 48 * 1024 * 1024;

/** @param {unknown} value */
const isText = (value) => typeof value === "string";
/** @param {unknown} value */
const isBoolean = (value) => typeof value === "boolean";

/** @param {number} most @returns {Check} */
const text = (most) => (value) => typeof value === "string" && value.length <= most;

/** @param {...string} words @returns {Check} */
const oneOf =
  (...words) =>
  (value) =>
    typeof value === "string" && words.includes(value);

/** @param {RegExp} pattern @returns {Check} */
const matching = (pattern) => (value) => typeof value === "string" && pattern.test(value);

/** @param {Check} check @returns {Check} */
const nullable = (check) => (value) => value === null || check(value);

/** @param {Check} check @returns {Check} */
const optional = (check) => (value) => value === undefined || check(value);

/** @param {number} least @param {number} most @returns {Check} */
const number = (least, most) => (value) =>
  typeof value === "number" && Number.isFinite(value) && value >= least && value <= most;

/** @param {unknown} value */
const isWhole = (value) => Number.isSafeInteger(value);

/** Exactly these fields. @param {Record<string, Check>} fields @returns {Check} */
const shape = (fields) => (value) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return false;
  }
  const given = /** @type {Record<string, unknown>} */ (value);
  return (
    Object.keys(given).every((name) => Object.hasOwn(fields, name)) &&
    Object.entries(fields).every(([name, check]) => check(given[name]))
  );
};

/** An address that bytes can be had from. @param {unknown} value */
const isUrl = (value) =>
  isText(value) &&
  (/^data:/i.test(String(value))
    ? String(value).length <= MOST_DATA
    : /^(https?|blob):/i.test(String(value)) && String(value).length <= MOST_URL);

const FAR = 10_000_000;
const size = shape({ width: number(0, FAR), height: number(0, FAR) });
const rect = shape({
  x: number(-FAR, FAR),
  y: number(-FAR, FAR),
  width: number(0, FAR),
  height: number(0, FAR),
});
const picture = shape({
  kind: oneOf("image", "background", "canvas", "video", "poster", "svg"),
  url: nullable(isUrl),
  larger: nullable(isUrl),
  linked: nullable(isUrl),
  shown: size,
  natural: nullable(size),
  rect: nullable(rect),
  ratio: number(0.01, 100),
});
const bytes = shape({
  way: oneOf("page", "canvas", "screen"),
  base64: nullable(text(MOST_DATA)),
  isLarger: optional(isBoolean),
});
const id = matching(/^[A-Za-z0-9_-]{1,40}$/);
const SEEN = ["file", "larger", "linked", "preview", "canvas", "copy", "frame", "screen"];

/**
 * @typedef {"content"|"page"|"worker"} Sender
 * @type {Record<string, {from: Sender[], fields: Record<string, Check>}>}
 */
export const MESSAGES = {
  // To the worker, from a content script. The answer to picture.* is an Outcome.
  "picture.check": {
    from: ["content"],
    fields: {
      picture,
      bytes: nullable(bytes),
      isAutomatic: isBoolean,
      answers: shape({ linked: nullable(oneOf("yes", "no")) }),
    },
  },
  "picture.poll": { from: ["content"], fields: { id, seen: optional(oneOf(...SEEN)) } },
  "picture.correct": {
    from: ["content"],
    fields: { id, label: oneOf("real", "fake"), seen: optional(oneOf(...SEEN)) },
  },
  "picture.undo": { from: ["content"], fields: { id, seen: optional(oneOf(...SEEN)) } },
  // Answered by {state: "opened"} or a Problem.
  "picture.details": { from: ["content"], fields: { id } },
  // Does what the button of a Problem says. Answered by {}.
  "problem.act": { from: ["content"], fields: { action: matching(/^[a-z-]{1,40}(:\S{1,400})?$/) } },
  // Answered by {isOn, limits: {perPage, atOnce, minSide}}.
  "marks.ask": { from: ["content"], fields: {} },

  // To the worker, from a page of the extension: the connection, the sites or the settings changed.
  "pages.changed": { from: ["page"], fields: {} },

  // To a content script. Answered by nothing.
  "card.open": {
    from: ["worker"],
    fields: {
      srcUrl: nullable(isText),
      mediaType: nullable(isText),
      targetElementId: nullable(isWhole),
    },
  },
  // A permission was granted or the connection mended: open cards that show a problem try again.
  "card.retry": { from: ["worker"], fields: {} },
  "pick.start": { from: ["worker"], fields: {} },
  "marks.start": { from: ["worker"], fields: {} },
  "marks.stop": { from: ["worker"], fields: {} },
};

/**
 * Says what is wrong with a message, or null if nothing is.
 *
 * @param {unknown} message
 * @param {Sender} from
 * @returns {string|null}
 */
export function fault(message, from) {
  if (typeof message !== "object" || message === null || Array.isArray(message)) {
    return "not a message";
  }
  const { type, ...fields } = /** @type {Record<string, unknown>} */ (message);
  if (typeof type !== "string" || !Object.hasOwn(MESSAGES, type)) {
    return "unknown type";
  }
  if (!MESSAGES[type].from.includes(from)) {
    return "wrong sender";
  }
  return shape(MESSAGES[type].fields)(fields) ? null : "wrong fields";
}
