/** How much of a server's Retry-After counts. */
export declare const retryAfterMost = 3600000;
/** How long a connection must last to show that the server is well. */
export declare const settled = 30000;
/**
 * The delay after so many failures in a row (n ≥ 1), with random in [0,1): with full jitter, so that devices that lost their
 * server together do not come back together; after a Retry-After, on top of it. Milliseconds.
 */
export declare function backoff(n: number, random: number, retryAfter?: number): number;
/** The delay after a refusal that trying again will hardly change. Milliseconds. */
export declare function longBackoff(random: number): number;
