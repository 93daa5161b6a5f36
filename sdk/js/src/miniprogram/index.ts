// The device SDK for mini-programs (WeChat and those with the same API) and for uni-app, in any of which wx is called
// otherwise: bring the object.

import { Device } from "../device.js";
import type { Options } from "../options.js";
import type { Channel, HTTPAnswer, HTTPAsk, Transport, TransportEvents } from "../seams.js";
import type { Storage } from "../storage.js";

export * from "../index.js";

/** What the SDK needs of wx, uni, tt, my … */
export interface MiniProgram {
  connectSocket(o: { url: string; protocols: string[]; complete: () => void; fail: (e: { errMsg?: string }) => void }): SocketTask;
  request(o: {
    url: string;
    method: never;
    header: Record<string, string>;
    data?: string;
    dataType: string;
    responseType: never;
    timeout: number;
    success: (r: { statusCode: number; data: unknown; header?: Record<string, unknown> }) => void;
    fail: (e: { errMsg?: string }) => void;
  }): unknown;
  getStorage(o: { key: string; success: (r: { data: unknown }) => void; fail: (e: { errMsg?: string }) => void }): unknown;
  setStorage(o: { key: string; data: unknown; success: () => void; fail: (e: { errMsg?: string }) => void }): unknown;
  removeStorage(o: { key: string; complete: () => void }): unknown;
  onNetworkStatusChange?(listener: (r: { isConnected: boolean }) => void): void;
}

/** A socket of a mini-program. */
export interface SocketTask {
  onOpen(f: () => void): void;
  onMessage(f: (m: { data: unknown }) => void): void;
  onError(f: (e: { errMsg?: string }) => void): void;
  onClose(f: (e?: { code?: number; reason?: string }) => void): void;
  send(o: { data: ArrayBuffer }): void;
  close(o: object): void;
}

const timeout = 30_000; // milliseconds

/** Opens the mini-program's device. wx is the object with the platform's API. */
export function openDevice(wx: MiniProgram, options: Omit<Options, "storage"> & Partial<Pick<Options, "storage">>): Promise<Device> {
  const storage = options.storage ?? new MiniProgramStorage(wx);
  const opened = Device.open({ ...options, storage }, { transports: [new MiniProgramTransport(wx)], request: (ask) => request(wx, ask), random });
  return opened.then((device) => {
    wx.onNetworkStatusChange?.((r) => {
      if (r.isConnected) device.networkUp();
    });
    return device;
  });
}

/** Random enough for an identifier that is no secret; mini-programs have no synchronous source of better ones. */
function random(n: number): Uint8Array {
  return Uint8Array.from({ length: n }, () => Math.floor(Math.random() * 256));
}

/** Speaks MQTT over the sockets of a mini-program. */
export class MiniProgramTransport implements Transport {
  readonly schemes = ["ws", "wss"];
  constructor(private readonly wx: MiniProgram) {}

  open(address: string, events: TransportEvents): Channel {
    let over = false;
    const close = (why: string) => {
      if (over) return;
      over = true;
      events.closed(new Error(why));
    };
    // uni-app returns the task itself only if there is a callback.
    const task = this.wx.connectSocket({ url: address, protocols: ["mqtt"], complete: () => undefined, fail: (e) => close(e.errMsg ?? "no socket") });
    task.onOpen(() => {
      if (!over) events.opened();
    });
    task.onMessage((m) => {
      if (!over && m.data instanceof ArrayBuffer) events.received(new Uint8Array(m.data));
    });
    task.onError((e) => close(e.errMsg ?? "the socket failed"));
    task.onClose((e) => close(`the socket was closed: ${e?.code ?? ""} ${e?.reason ?? ""}`.trim()));
    return {
      send: (bytes) => task.send({ data: bytes.slice().buffer as ArrayBuffer }),
      close: () => {
        task.close({});
        close("closed");
      },
    };
  }
}

function request(wx: MiniProgram, ask: HTTPAsk): Promise<HTTPAnswer> {
  return new Promise((resolve, reject) => {
    wx.request({
      url: ask.url,
      method: ask.method as never,
      header: ask.headers,
      ...(ask.body !== undefined ? { data: ask.body } : {}),
      dataType: "text", // what is not "json" is left as it came
      responseType: "text" as never,
      timeout,
      success: (r) => {
        const name = Object.keys(r.header ?? {}).find((k) => k.toLowerCase() === "retry-after");
        const body = typeof r.data === "string" ? r.data : JSON.stringify(r.data ?? "");
        resolve({ status: r.statusCode, body, ...(name ? { retryAfter: String(r.header![name]) } : {}) });
      },
      fail: (e) => reject(new Error(e.errMsg ?? "no answer")),
    });
  });
}

/** The storage of a mini-program, under names of its own. */
export class MiniProgramStorage implements Storage {
  constructor(
    private readonly wx: MiniProgram,
    private readonly prefix = "borealis/",
  ) {}

  get(name: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      // It fails for a key that is not there, too, and does not tell the two apart.
      this.wx.getStorage({ key: this.prefix + name, success: (r) => resolve(typeof r.data === "string" ? r.data : undefined), fail: () => resolve(undefined) });
    });
  }

  put(name: string, document: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.wx.setStorage({ key: this.prefix + name, data: document, success: resolve, fail: (e) => reject(new Error(e.errMsg ?? "not stored")) });
    });
  }

  remove(name: string): Promise<void> {
    return new Promise((resolve) => this.wx.removeStorage({ key: this.prefix + name, complete: resolve }));
  }
}
