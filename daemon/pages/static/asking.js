// What the page asks of antifake. Every failure is one sentence for the person.

const AWAY = "antifake does not answer. Is it still running?";
const HEADERS = { "X-Requested-By": "antifake" };

/** Change something: gives the answer's JSON, or throws an Error with the sentence. */
export async function change(address, body) {
  const headers = { ...HEADERS, "Content-Type": "application/json" };
  const answer = await ask(address, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.status === 204 ? {} : answer.json();
}

export const text = async (address) => (await ask(address, { headers: HEADERS })).text();
export const json = async (address) => (await ask(address, { headers: HEADERS })).json();

async function ask(address, options) {
  let answer;
  try {
    answer = await fetch(address, { credentials: "same-origin", redirect: "error", ...options });
  } catch {
    throw new Error(AWAY);
  }
  if (!answer.ok) {
    const { error } = await answer.json().catch(() => ({}));
    throw new Error(error || `antifake could not do that (${answer.status}).`);
  }
  return answer;
}
