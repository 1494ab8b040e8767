// An HTTP server on 127.0.0.1 that answers as antifake does: with the answers of tests/contract.

import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const CONTRACT = new URL("../../contract/", import.meta.url);

export const TOKEN = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
export const TOKEN_ID = 1;

/** An answer as the daemon gives it. @param {string} name */
export function contract(name) {
  return JSON.parse(readFileSync(new URL(`${name}.json`, CONTRACT), "utf8"));
}

const ABOUT = contract("answers");

/**
 * @typedef {{method: string, path: string, headers: object, body: Buffer}} Request
 *
 * What a server answers: the name of a file of the contract, or [status, body].
 * @typedef {string|[number, any]|((request: Request) => any)} Answer
 */

export class Antifake {
  /** @param {Record<string, Answer>} answers By "METHOD /path". */
  constructor(answers = {}) {
    this.answers = { "GET /health": "health", ...answers };
    /** @type {Request[]} */
    this.requests = [];
    this.token = TOKEN;
    this.server = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) {
        chunks.push(chunk);
      }
      const path = request.url.replace(/^\/api\/v1/, "").replace(/\?.*/, "");
      const { method, headers } = request;
      const heard = { method, path, url: request.url, headers, body: Buffer.concat(chunks) };
      this.requests.push(heard);
      const [status, body] = this.answer(heard);
      response.writeHead(status, { "Content-Type": "application/json" });
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  }

  async start() {
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.port = this.server.address().port;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  /** The requests after the proofs. */
  get asked() {
    return this.requests.filter(({ path }) => !["/hello", "/health"].includes(path));
  }

  answer(request) {
    if (request.path === "/hello" && !("POST /hello" in this.answers)) {
      return [200, { proof: this.proof(JSON.parse(request.body)) }];
    }
    let found = this.answers[`${request.method} ${request.path}`] ?? "problem_not_found";
    found = typeof found === "function" ? found(request) : found;
    return typeof found === "string" ? [ABOUT[found].status, contract(found)] : found;
  }

  proof({ nonce }) {
    const key = createHash("sha256").update(this.token).digest("hex");
    return createHmac("sha256", key).update(`${nonce}:${this.port}`).digest("hex");
  }
}

/** The fields of a form that was sent. @param {Request} request @returns {Promise<FormData>} */
export function formOf({ headers, body }) {
  return new Response(body, { headers: { "Content-Type": headers["content-type"] } }).formData();
}

/** The smallest PNG. */
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
