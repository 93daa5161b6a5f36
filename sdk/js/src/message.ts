import { decodeUTF8 } from "./text.js";

/** A message for the app itself. */
export interface Custom {
  title?: string;
  content?: unknown;
  content_type?: string;
  extras?: unknown;
}

/** What was pushed, with the members that came. */
export interface Message {
  id: string;
  /** notification, message or inapp. */
  type: string;
  title?: string;
  alert?: string;
  extras?: unknown;
  options?: Record<string, unknown>;
  /** A custom message; a notification may carry one too. */
  message?: Custom;
  inapp?: unknown;
  /** The id of the message that this one replaces on the screen. */
  override?: string;
  /** Unix milliseconds by the server's clock. */
  expires_at?: number;
  /** The silence hours of the device's owner forbid sound, vibration and pop-ups. */
  silent: boolean;
}

/** A frame of topic push, read. */
export interface Frame extends Message {
  withdraw?: string;
}

const types = ["notification", "message", "inapp", "withdraw"];
const texts = ["title", "alert", "override", "withdraw"] as const;

/** Reads a payload of topic push; a string says why it is to be acknowledged and forgotten. */
export function parseFrame(payload: Uint8Array): Frame | string {
  const text = decodeUTF8(payload);
  if (text === undefined) return "not UTF-8";
  let v: unknown;
  try {
    v = JSON.parse(text);
  } catch {
    return "not JSON";
  }
  return frameOf(v);
}

/** Checks what JSON.parse gave. */
export function frameOf(v: unknown): Frame | string {
  if (typeof v !== "object" || v === null || Array.isArray(v)) return "not an object";
  const f = { ...v, silent: false } as Frame & Record<string, unknown>;
  if (typeof f.id !== "string" || f.id === "" || typeof f.type !== "string") return "no id or no type";
  if (!types.includes(f.type)) return `unknown type ${f.type.slice(0, 20)}`;
  for (const name of texts) {
    if (f[name] !== undefined && typeof f[name] !== "string") return `${name} is not a string`;
  }
  if (f.expires_at !== undefined && typeof f.expires_at !== "number") return "expires_at is not a number";
  if (f.type === "withdraw" && !f.withdraw) return "a withdrawal of nothing";
  return f;
}

export const keyOf = (f: Frame): string => `${f.type}/${f.id}`;

/** Hours in the device's time, "HH:MM": from is in it, to is not. It passes midnight if from is later; equal: all day. */
export interface Silence {
  from: string;
  to: string;
}

const timeOfDay = /^([01]\d|2[0-3]):([0-5]\d)$/;

/** Minutes since midnight; NaN if v is no time of day. */
function minutes(v: string): number {
  const m = timeOfDay.exec(v);
  return m ? Number(m[1]) * 60 + Number(m[2]) : NaN;
}

/** Throws if s is not made of times of day. */
export function checkSilence(s: Silence | null): void {
  for (const v of s ? [s.from, s.to] : []) {
    if (Number.isNaN(minutes(v))) throw new TypeError(`${JSON.stringify(v)} is not a time of day such as "22:00"`);
  }
}

/** Whether the local time of day of t is within the hours. */
export function covers(s: Silence | null | undefined, t: Date): boolean {
  if (!s) return false;
  const [from, to, now] = [minutes(s.from), minutes(s.to), t.getHours() * 60 + t.getMinutes()];
  if (Number.isNaN(from) || Number.isNaN(to)) return false;
  return from < to ? from <= now && now < to : now >= from || now < to;
}
