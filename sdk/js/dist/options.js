export const version = "0.1.0";
export const platforms = ["android", "ios", "quickapp", "hmos", "web", "desktop", "iot"];
/** Throws if an option is missing or wrong. */
export function settle(o, on) {
    if (!/^https?:\/\/[^/]/.test(o.server ?? ""))
        throw new TypeError(`server ${JSON.stringify(o.server)} is not a URL such as https://push.example.com`);
    if (!o.appKey)
        throw new TypeError("appKey is required");
    if (!platforms.includes(o.platform))
        throw new TypeError(`platform ${JSON.stringify(o.platform)} is none of ${platforms.join(", ")}`);
    if (!o.storage)
        throw new TypeError("storage is required");
    return {
        ...o,
        server: o.server.replace(/\/+$/, ""),
        now: o.now ?? Date.now,
        random: o.random ?? Math.random,
        scale: o.scale ?? 1,
        on,
    };
}
/** A refusal by the server. */
export class RefusedError extends Error {
    constructor(what, code, reason = "") {
        super(`${what} refused with ${what === "register" ? code : "0x" + code.toString(16)}${reason && ": " + reason}`);
        this.what = what;
        this.code = code;
        this.reason = reason;
        this.name = "RefusedError";
    }
}
/** The server asks to try again, after some milliseconds if it said so. */
export class LaterError extends Error {
    constructor(status, after) {
        super(`the server answered ${status}`);
        this.status = status;
        this.after = after;
        this.name = "LaterError";
    }
}
