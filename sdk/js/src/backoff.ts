/** Delays of a device that cannot connect, in milliseconds. */
const base = 1_000;
const most = 120_000;
/** How much of a server's Retry-After counts. */
export const retryAfterMost = 3_600_000;
/** How long a connection must last to show that the server is well. */
export const settled = 30_000;

/**
 * The delay after so many failures in a row (n ≥ 1), with random in [0,1): with full jitter, so that devices that lost their
 * server together do not come back together; after a Retry-After, on top of it. Milliseconds.
 */
export function backoff(n: number, random: number, retryAfter = 0): number {
  const grown = n > 20 ? most : Math.min(base * 2 ** (n - 1), most);
  return Math.min(Math.max(retryAfter, 0), retryAfterMost) + Math.floor(random * grown);
}

/** The delay after a refusal that trying again will hardly change. Milliseconds. */
export function longBackoff(random: number): number {
  return most * (0.5 + random / 2);
}
