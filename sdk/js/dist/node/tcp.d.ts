import tls from "node:tls";
import type { Channel, Transport, TransportEvents } from "../seams.js";
/** Options of node:tls: ca, servername and others. */
export type TLSOptions = tls.ConnectionOptions;
/** Speaks MQTT over TCP and TLS. */
export declare class TCPTransport implements Transport {
    private readonly tls;
    readonly schemes: string[];
    constructor(tls?: TLSOptions);
    open(address: string, events: TransportEvents): Channel;
}
