import type { HTTPAnswer, HTTPAsk } from "../seams.js";

const timeout = 30_000; // milliseconds

/** Makes a call with fetch. Nothing that the browser remembers goes along. */
export async function request(ask: HTTPAsk): Promise<HTTPAnswer> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeout);
  try {
    const answer = await fetch(ask.url, {
      method: ask.method,
      headers: ask.headers,
      body: ask.body ?? null,
      credentials: "omit",
      cache: "no-store",
      keepalive: (ask.body?.length ?? 0) < 32_768,
      signal: late.signal,
    });
    const retryAfter = answer.headers.get("Retry-After");
    return { status: answer.status, body: await answer.text(), ...(retryAfter ? { retryAfter } : {}) };
  } finally {
    clearTimeout(timer);
  }
}
