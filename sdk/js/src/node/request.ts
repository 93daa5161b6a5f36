import http from "node:http";
import https from "node:https";
import type { HTTPAnswer, HTTPAsk } from "../seams.js";

const timeout = 30_000; // milliseconds
const maxAnswer = 64 << 10; // bytes

/** Makes a call on a connection of its own, so that nothing of it stays open. */
export function request(ask: HTTPAsk): Promise<HTTPAnswer> {
  return new Promise((resolve, reject) => {
    const call = (ask.url.startsWith("https:") ? https : http).request(ask.url, { method: ask.method, headers: ask.headers, agent: false, timeout }, (answer) => {
      const chunks: Buffer[] = [];
      let size = 0;
      answer.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxAnswer) call.destroy(new Error("the answer is too long"));
        else chunks.push(chunk);
      });
      answer.on("error", reject);
      answer.on("end", () => {
        const retryAfter = answer.headers["retry-after"];
        resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(chunks).toString("utf8"), ...(retryAfter ? { retryAfter } : {}) });
      });
    });
    call.on("timeout", () => call.destroy(new Error("no answer in time")));
    call.on("error", reject);
    call.end(ask.body);
  });
}
