import type { Device } from "./device.js";
import type { HTTPAnswer } from "./seams.js";
import type { Credentials } from "./state.js";
/** Makes one call of the device API. */
export declare function call(d: Pick<Device, "o">, method: string, path: string, as?: Credentials, body?: unknown): Promise<HTTPAnswer>;
/** Gets the device its identity. */
export declare function register(d: Device): Promise<void>;
/** An answer that is no success, as an error. */
export declare function refusal(a: HTTPAnswer): Error;
/** Makes the registration void; what was said of the device stays. */
export declare function forget(d: Device, registrationID: string): Promise<void>;
/** Tells the server of an end it has not heard of. */
export declare function tellEnd(d: Device): Promise<void>;
