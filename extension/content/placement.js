// Where the card goes: beside its picture if there is room, else over it, never out of sight.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.placement) {
    return;
  }

  const GAP = 8;

  /** @param {number} value @param {number} least @param {number} most @returns {number} */
  function clamp(value, least, most) {
    return Math.max(least, Math.min(value, most));
  }

  /**
   * @param {Box|null} anchor the picture; null if it is gone
   * @param {{width: number, height: number}} view
   * @returns {Box|null} the part of it that is in view, null if there is none
   */
  function visiblePart(anchor, view) {
    if (!anchor) {
      return null;
    }
    const x = Math.max(anchor.x, 0);
    const y = Math.max(anchor.y, 0);
    const width = Math.min(anchor.x + anchor.width, view.width) - x;
    const height = Math.min(anchor.y + anchor.height, view.height) - y;
    return width > 0 && height > 0 ? { x, y, width, height } : null;
  }

  /**
   * @param {Box|null} anchor
   * @param {{width: number, height: number}} card
   * @param {{width: number, height: number}} view
   * @param {"ltr"|"rtl"} direction of the words on the card
   * @returns {{x: number, y: number, isAtPicture: boolean}}
   */
  function place(anchor, card, view, direction) {
    const part = visiblePart(anchor, view);
    const mostX = view.width - card.width - GAP;
    const mostY = view.height - card.height - GAP;
    const end = direction === "rtl" ? GAP : mostX;
    if (!part) {
      return { x: Math.max(0, end), y: Math.max(0, mostY), isAtPicture: false };
    }
    const right = part.x + part.width + GAP;
    const left = part.x - card.width - GAP;
    const below = part.y + part.height + GAP;
    const above = part.y - card.height - GAP;
    const sides = direction === "rtl" ? [left, right] : [right, left];
    const side = sides.find((x) => x >= GAP && x <= mostX);
    const level = [below, above].find((y) => y >= GAP && y <= mostY);
    let x = clamp(part.x, GAP, mostX);
    let y = clamp(part.y, GAP, mostY);
    if (side !== undefined) {
      x = side;
    } else if (level !== undefined) {
      y = level;
    } else {
      x = clamp(
        direction === "rtl" ? part.x + GAP : part.x + part.width - card.width - GAP,
        GAP,
        mostX,
      );
      y = clamp(part.y + part.height - card.height - GAP, GAP, mostY);
    }
    return { x: Math.max(0, x), y: Math.max(0, y), isAtPicture: true };
  }

  antifake.placement = Object.freeze({ place, visiblePart });
})();
