import type { HTTPAnswer, HTTPAsk } from "../seams.js";
/** Makes a call on a connection of its own, so that nothing of it stays open. */
export declare function request(ask: HTTPAsk): Promise<HTTPAnswer>;
