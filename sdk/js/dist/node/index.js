// The device SDK for Node.js from 20 on.
import { randomBytes } from "node:crypto";
import { Device } from "../device.js";
import { WebSocketTransport } from "../websocket.js";
import { request } from "./request.js";
import { TCPTransport } from "./tcp.js";
export * from "../index.js";
export { FileStorage } from "./storage.js";
export { TCPTransport } from "./tcp.js";
/** Opens the device of a storage. */
export function openDevice(options, node = {}) {
    const transports = [new TCPTransport(node.tls)];
    const socket = node.WebSocket ?? globalThis.WebSocket;
    if (socket)
        transports.push(new WebSocketTransport(socket));
    return Device.open(options, { transports, request, random: (n) => new Uint8Array(randomBytes(n)) });
}
