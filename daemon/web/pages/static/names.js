// File names made inert, as wording.py does it.

const LONGEST = 56;
const SHAPELESS = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

export const inert = (text) => text.replace(SHAPELESS, "\ufffd");

/** Returns a name that fits. Long names lose their middle. */
export function short(text) {
  const signs = [...text];
  if (signs.length <= LONGEST) return text;
  const tail = Math.floor(LONGEST / 3);
  return `${signs.slice(0, LONGEST - tail - 1).join("")}…${signs.slice(-tail).join("")}`;
}
