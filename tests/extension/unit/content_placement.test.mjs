// Where the card goes, and which picture an arrow key leads to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { loadContent } from "./content.mjs";

const { placement, spatial } = loadContent("placement", "spatial");
const CARD = { width: 340, height: 240 };
const VIEW = { width: 1000, height: 700 };

test("the card is beside its picture where there is room", () => {
  const cases = [
    ["at its right", { x: 100, y: 50, width: 300, height: 200 }, [408, 50]],
    ["at its left", { x: 600, y: 50, width: 300, height: 200 }, [252, 50]],
    ["below it", { x: 100, y: 50, width: 800, height: 200 }, [100, 258]],
    ["above it", { x: 100, y: 400, width: 800, height: 290 }, [100, 152]],
    ["in its corner", { x: 0, y: 0, width: 1000, height: 700 }, [652, 452]],
    ["beside the part in view", { x: 100, y: -500, width: 300, height: 600 }, [408, 8]],
  ];
  for (const [where, anchor, [x, y]] of cases) {
    assert.deepEqual(
      placement.place(anchor, CARD, VIEW, "ltr"),
      { x, y, isAtPicture: true },
      where,
    );
  }
});

test("the card is in the corner when its picture is not in view", () => {
  for (const anchor of [null, { x: 0, y: 900, width: 300, height: 200 }]) {
    assert.deepEqual(placement.place(anchor, CARD, VIEW, "ltr"), {
      x: 652,
      y: 452,
      isAtPicture: false,
    });
    assert.equal(placement.place(anchor, CARD, VIEW, "rtl").x, 8);
  }
});

test("the card stays in the window wherever the picture is", () => {
  for (const width of [240, 320, 500, 1000]) {
    for (const height of [200, 400, 700]) {
      const card = { width: Math.min(340, width - 16), height: Math.min(240, height - 16) };
      for (let x = -400; x < 1200; x += 130) {
        for (let y = -400; y < 900; y += 110) {
          for (const direction of ["ltr", "rtl"]) {
            const anchor = { x, y, width: 310, height: 230 };
            const at = placement.place(anchor, card, { width, height }, direction);
            assert.ok(at.x >= 0 && at.x + card.width <= width, `${x} ${y} in ${width}`);
            assert.ok(at.y >= 0 && at.y + card.height <= height, `${x} ${y} in ${height}`);
          }
        }
      }
    }
  }
});

const GRID = [0, 1, 2, 3, 4, 5].map((place) => ({
  x: (place % 3) * 110,
  y: Math.floor(place / 3) * 110,
  width: 100,
  height: 100,
}));

test("arrow keys lead over a grid as one sees it", () => {
  assert.equal(spatial.next(GRID, 0, "right"), 1);
  assert.equal(spatial.next(GRID, 1, "left"), 0);
  assert.equal(spatial.next(GRID, 1, "down"), 4);
  assert.equal(spatial.next(GRID, 4, "up"), 1);
  assert.equal(spatial.next(GRID, 2, "right"), -1);
  assert.equal(spatial.next(GRID, 0, "up"), -1);
});

test("every picture can be reached by arrow keys", () => {
  const boxes = [
    { x: 0, y: 0, width: 600, height: 100 },
    { x: 700, y: 40, width: 30, height: 30 },
    { x: 10, y: 150, width: 90, height: 400 },
    { x: 400, y: 500, width: 200, height: 60 },
    { x: 420, y: 520, width: 30, height: 30 },
    { x: 750, y: 650, width: 24, height: 24 },
  ];
  const reached = new Set([0]);
  const todo = [0];
  while (todo.length) {
    const from = todo.pop();
    for (const direction of ["left", "right", "up", "down"]) {
      const to = spatial.next(boxes, from, direction);
      if (to >= 0 && !reached.has(to)) {
        reached.add(to);
        todo.push(to);
      }
    }
  }
  assert.equal(reached.size, boxes.length);
});

test("the pointer chooses the smallest picture under it", () => {
  const boxes = [
    { x: 0, y: 0, width: 600, height: 600 },
    { x: 100, y: 100, width: 50, height: 50 },
  ];
  assert.equal(spatial.under(boxes, { x: 120, y: 120 }), 1);
  assert.equal(spatial.under(boxes, { x: 20, y: 20 }), 0);
  assert.equal(spatial.under(boxes, { x: 700, y: 20 }), -1);
  assert.equal(spatial.nearest(boxes, { x: 120, y: 120 }), 1);
});
