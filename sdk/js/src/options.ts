import type { Message } from "./message.js";
import type { Platform } from "./seams.js";
import type { Storage } from "./storage.js";

export const version = "0.1.0";

export const platforms = ["android", "ios", "quickapp", "hmos", "web", "desktop", "iot"] as const;

/** Who the device is and what is done with messages. */
export interface Options {
  /** Base URL of the server's HTTP address, such as https://push.example.com. */
  server: string;
  /** The app's public key. */
  appKey: string;
  platform: (typeof platforms)[number];
  /** The app's package; optional. */
  package?: string;
  /** About the device; optional, at most 128 bytes each. */
  device?: { model?: string; os_version?: string; app_version?: string; timezone?: string; locale?: string };
  /** Keeps what must survive a restart. Two devices must not share one. */
  storage: Storage;
  /**
   * Takes a message, one at a time. An exception or a rejected promise means that it was not taken: it comes again with the
   * next connection, three times in a life.
   */
  onMessage?(m: Message): void | Promise<void>;
  /** Takes a message off the screen. */
  onWithdraw?(id: string): void | Promise<void>;
  /** Is told what happens to the connection. */
  onEvent?(e: Event): void;
  /** Returns the signature by the app's backend for this installation; needed when the app demands it. */
  sign?(installID: string): Promise<string>;
  /** The preferred kind of address: "tcp" (MQTT over TCP or TLS) or "ws". */
  transport?: "tcp" | "ws";
  /** The device's clock, Unix milliseconds. */
  now?(): number;
  /** Numbers in [0,1) for jitter. */
  random?(): number;
  /** Multiplies all delays. For tests. */
  scale?: number;
}

/** Something that happened to the device. */
export type Event =
  | { kind: "waiting"; for: "consent" }
  | { kind: "registered"; registrationID: string }
  | { kind: "connected" }
  | { kind: "disconnected"; reason: string }
  /** Another connection of this identity replaced this one. The device stays offline until it is started again. */
  | { kind: "taken_over" }
  /** The server refused what it would refuse again. code is an HTTP status (register) or an MQTT reason code. */
  | { kind: "refused"; what: What; code: number; reason: string }
  /** Worth a line in a log. */
  | { kind: "error"; error: Error };

export type What = "register" | "connect" | "events" | "profile" | "token";

/** Options with everything filled in. */
export interface Settled extends Options {
  now(): number;
  random(): number;
  scale: number;
  on: Platform;
}

/** Throws if an option is missing or wrong. */
export function settle(o: Options, on: Platform): Settled {
  if (!/^https?:\/\/[^/]/.test(o.server ?? "")) throw new TypeError(`server ${JSON.stringify(o.server)} is not a URL such as https://push.example.com`);
  if (!o.appKey) throw new TypeError("appKey is required");
  if (!platforms.includes(o.platform)) throw new TypeError(`platform ${JSON.stringify(o.platform)} is none of ${platforms.join(", ")}`);
  if (!o.storage) throw new TypeError("storage is required");
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
  override readonly name = "RefusedError";
  constructor(
    readonly what: What,
    readonly code: number,
    readonly reason = "",
  ) {
    super(`${what} refused with ${what === "register" ? code : "0x" + code.toString(16)}${reason && ": " + reason}`);
  }
}

/** The server asks to try again, after some milliseconds if it said so. */
export class LaterError extends Error {
  override readonly name = "LaterError";
  constructor(
    readonly status: number,
    readonly after: number,
  ) {
    super(`the server answered ${status}`);
  }
}
