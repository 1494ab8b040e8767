// Which picture an arrow key leads to.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.spatial) {
    return;
  }

  /** @param {Box} box @returns {{x: number, y: number}} */
  function center({ x, y, width, height }) {
    return { x: x + width / 2, y: y + height / 2 };
  }

  /** @param {number} from @param {number} size @param {number} from2 @param {number} size2 */
  function overlap(from, size, from2, size2) {
    return Math.max(0, Math.min(from + size, from2 + size2) - Math.max(from, from2));
  }

  /**
   * @param {Box[]} boxes
   * @param {number} current
   * @param {"left"|"right"|"up"|"down"} direction
   * @returns {number} the place of the next box that way; -1 if there is none
   */
  function next(boxes, current, direction) {
    const from = boxes[current];
    const isLevel = direction === "left" || direction === "right";
    const sign = direction === "left" || direction === "up" ? -1 : 1;
    let best = -1;
    let least = Infinity;
    boxes.forEach((box, place) => {
      if (place === current) {
        return;
      }
      const [a, b] = [center(from), center(box)];
      const ahead = sign * (isLevel ? b.x - a.x : b.y - a.y);
      if (ahead <= 1) {
        return;
      }
      const aside = Math.abs(isLevel ? b.y - a.y : b.x - a.x);
      const shared = isLevel
        ? overlap(from.y, from.height, box.y, box.height)
        : overlap(from.x, from.width, box.x, box.width);
      // What lies straight ahead comes before what is nearer, but aside.
      const cost = ahead + (shared > 0 ? aside * 0.3 : aside * 2 + 200);
      if (cost < least) {
        [best, least] = [place, cost];
      }
    });
    return best;
  }

  /** @param {Box[]} boxes @param {{x: number, y: number}} point @returns {number} the nearest one */
  function nearest(boxes, point) {
    let best = -1;
    let least = Infinity;
    boxes.forEach((box, place) => {
      const { x, y } = center(box);
      const far = Math.hypot(x - point.x, y - point.y);
      if (far < least) {
        [best, least] = [place, far];
      }
    });
    return best;
  }

  /** @param {Box[]} boxes @param {{x: number, y: number}} point @returns {number} the smallest one
   * that holds the point; -1 if none does */
  function under(boxes, point) {
    let best = -1;
    let least = Infinity;
    boxes.forEach(({ x, y, width, height }, place) => {
      const holds = point.x >= x && point.x <= x + width && point.y >= y && point.y <= y + height;
      if (holds && width * height < least) {
        [best, least] = [place, width * height];
      }
    });
    return best;
  }

  antifake.spatial = Object.freeze({ next, nearest, under });
})();
