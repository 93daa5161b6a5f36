// The device SDK for Node.js from 20 on.

import { randomBytes } from "node:crypto";
import { Device } from "../device.js";
import type { Options } from "../options.js";
import type { Platform } from "../seams.js";
import { WebSocketTransport, type SocketLike } from "../websocket.js";
import { request } from "./request.js";
import { TCPTransport, type TLSOptions } from "./tcp.js";

export * from "../index.js";
export { FileStorage } from "./storage.js";
export { TCPTransport, type TLSOptions } from "./tcp.js";

/** What Node.js has to choose from. */
export interface NodeOptions {
  /** Certificates and the like of MQTT over TLS. */
  tls?: TLSOptions;
  /**
   * A WebSocket, for addresses of that kind: that of the package ws, say. Without it the global one is used, which Node.js has
   * from version 22 on.
   */
  WebSocket?: new (url: string, protocol: string) => SocketLike;
}

/** Opens the device of a storage. */
export function openDevice(options: Options, node: NodeOptions = {}): Promise<Device> {
  const transports: Platform["transports"] = [new TCPTransport(node.tls)];
  const socket = node.WebSocket ?? (globalThis as { WebSocket?: NodeOptions["WebSocket"] }).WebSocket;
  if (socket) transports.push(new WebSocketTransport(socket));
  return Device.open(options, { transports, request, random: (n) => new Uint8Array(randomBytes(n)) });
}
