// Answers to a picture that is being checked, and verdicts as the server draws them.

import { json } from "./asking.js";

const AGAIN_MS = 1_000;

/**
 * Returns the answer once the picture is judged.
 * @param {object} answer  the first one  @param {(cause: ?string) => void} tell  gets for what it waits
 * @param {(address: string) => Promise<object>} ask
 */
export async function finished(answer, tell, ask = json) {
  while (answer.state !== "done") {
    tell(answer.waits_for);
    await new Promise((after) => setTimeout(after, AGAIN_MS));
    answer = await ask(`/given/${encodeURIComponent(answer.id)}`);
  }
  return answer;
}

/** Returns the nodes of a verdict. */
export const drawn = (html) => new DOMParser().parseFromString(html, "text/html").body.childNodes;
