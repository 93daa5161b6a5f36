import { Device } from "../device.js";
import type { Options } from "../options.js";
import { type SocketLike } from "../websocket.js";
import { type TLSOptions } from "./tcp.js";
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
export declare function openDevice(options: Options, node?: NodeOptions): Promise<Device>;
