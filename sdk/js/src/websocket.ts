import type { Channel, Transport, TransportEvents } from "./seams.js";

/** What this SDK needs of a WebSocket; that of browsers, of Node.js from 22 on and of the package ws have it. */
export interface SocketLike {
  binaryType: string;
  onopen: ((e: never) => void) | null;
  onmessage: ((e: { data: unknown } & never) => void) | null;
  onerror: ((e: never) => void) | null;
  onclose: ((e: { code: number; reason: string } & never) => void) | null;
  send(data: Uint8Array): void;
  close(): void;
}

/** Speaks MQTT over WebSocket. */
export class WebSocketTransport implements Transport {
  readonly schemes = ["ws", "wss"];
  constructor(private readonly socket: new (url: string, protocol: string) => SocketLike) {}

  open(address: string, events: TransportEvents): Channel {
    const ws = new this.socket(address, "mqtt");
    ws.binaryType = "arraybuffer";
    let over = false;
    const close = (why: string) => {
      if (over) return;
      over = true;
      events.closed(new Error(why));
    };
    ws.onopen = () => events.opened();
    ws.onmessage = (e: { data: unknown }) => {
      if (!over && e.data instanceof ArrayBuffer) events.received(new Uint8Array(e.data));
    };
    ws.onerror = () => close("the WebSocket failed");
    ws.onclose = (e: { code: number; reason: string }) => close(`the WebSocket was closed: ${e.code} ${e.reason}`.trim());
    return {
      send: (bytes) => ws.send(bytes),
      close: () => {
        ws.close();
        close("closed");
      },
    };
  }
}
