import type { HTTPAnswer, HTTPAsk } from "../seams.js";
/** Makes a call with fetch. Nothing that the browser remembers goes along. */
export declare function request(ask: HTTPAsk): Promise<HTTPAnswer>;
