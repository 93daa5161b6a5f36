import type { Channel, Transport, TransportEvents } from "./seams.js";
/** What this SDK needs of a WebSocket; that of browsers, of Node.js from 22 on and of the package ws have it. */
export interface SocketLike {
    binaryType: string;
    onopen: ((e: never) => void) | null;
    onmessage: ((e: {
        data: unknown;
    } & never) => void) | null;
    onerror: ((e: never) => void) | null;
    onclose: ((e: {
        code: number;
        reason: string;
    } & never) => void) | null;
    send(data: Uint8Array): void;
    close(): void;
}
/** Speaks MQTT over WebSocket. */
export declare class WebSocketTransport implements Transport {
    private readonly socket;
    readonly schemes: string[];
    constructor(socket: new (url: string, protocol: string) => SocketLike);
    open(address: string, events: TransportEvents): Channel;
}
