import net from "node:net";
import tls from "node:tls";
import type { Channel, Transport, TransportEvents } from "../seams.js";

/** Options of node:tls: ca, servername and others. */
export type TLSOptions = tls.ConnectionOptions;

const ports: Record<string, number> = { tcp: 1883, mqtt: 1883, mqtts: 8883, ssl: 8883 };

/** Speaks MQTT over TCP and TLS. */
export class TCPTransport implements Transport {
  readonly schemes = Object.keys(ports);
  constructor(private readonly tls: TLSOptions = {}) {}

  open(address: string, events: TransportEvents): Channel {
    const url = new URL(address);
    const scheme = url.protocol.slice(0, -1);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port) || ports[scheme]!;
    const secure = scheme === "mqtts" || scheme === "ssl";
    const socket = secure ? tls.connect({ host, port, ...(net.isIP(host) ? {} : { servername: host }), ...this.tls }) : net.connect({ host, port });
    let why: Error | undefined;
    socket.setNoDelay(true);
    socket.on(secure ? "secureConnect" : "connect", () => events.opened());
    socket.on("data", (chunk: Buffer) => events.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)));
    socket.on("error", (error) => (why = error));
    socket.on("close", () => events.closed(why ?? new Error("the connection was closed")));
    return {
      send: (bytes) => void socket.write(bytes),
      close: () => {
        // What was written goes out, but nobody waits long for the peer.
        socket.destroySoon();
        setTimeout(() => socket.destroy(), 1_000).unref();
      },
    };
  }
}
