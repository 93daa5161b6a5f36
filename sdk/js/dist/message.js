import { decodeUTF8 } from "./text.js";
const types = ["notification", "message", "inapp", "withdraw"];
const texts = ["title", "alert", "override", "withdraw"];
/** Reads a payload of topic push; a string says why it is to be acknowledged and forgotten. */
export function parseFrame(payload) {
    const text = decodeUTF8(payload);
    if (text === undefined)
        return "not UTF-8";
    let v;
    try {
        v = JSON.parse(text);
    }
    catch {
        return "not JSON";
    }
    return frameOf(v);
}
/** Checks what JSON.parse gave. */
export function frameOf(v) {
    if (typeof v !== "object" || v === null || Array.isArray(v))
        return "not an object";
    const f = { ...v, silent: false };
    if (typeof f.id !== "string" || f.id === "" || typeof f.type !== "string")
        return "no id or no type";
    if (!types.includes(f.type))
        return `unknown type ${f.type.slice(0, 20)}`;
    for (const name of texts) {
        if (f[name] !== undefined && typeof f[name] !== "string")
            return `${name} is not a string`;
    }
    if (f.expires_at !== undefined && typeof f.expires_at !== "number")
        return "expires_at is not a number";
    if (f.type === "withdraw" && !f.withdraw)
        return "a withdrawal of nothing";
    return f;
}
export const keyOf = (f) => `${f.type}/${f.id}`;
const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)$/;
/** Minutes since midnight; NaN if v is no time of day. */
function minutes(v) {
    const m = timeOfDay.exec(v);
    return m ? Number(m[1]) * 60 + Number(m[2]) : NaN;
}
/** Throws if s is not made of times of day. */
export function checkSilence(s) {
    for (const v of s ? [s.from, s.to] : []) {
        if (Number.isNaN(minutes(v)))
            throw new TypeError(`${JSON.stringify(v)} is not a time of day such as "22:00"`);
    }
}
/** Whether the local time of day of t is within the hours. */
export function covers(s, t) {
    if (!s)
        return false;
    const [from, to, now] = [minutes(s.from), minutes(s.to), t.getHours() * 60 + t.getMinutes()];
    if (Number.isNaN(from) || Number.isNaN(to))
        return false;
    return from < to ? from <= now && now < to : now >= from || now < to;
}
